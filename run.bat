@echo off
rem Starts the workbench: workbench.exe beside this file, else a build of the source. Arguments pass through.
setlocal
if exist "%~dp0workbench.exe" goto built
where cargo >nul 2>nul
if errorlevel 1 goto no_rust
cargo run --release --manifest-path "%~dp0Cargo.toml" -- %*
set "CODE=%ERRORLEVEL%"
goto ended

:built
"%~dp0workbench.exe" %*
set "CODE=%ERRORLEVEL%"
goto ended

:no_rust
echo There is no workbench.exe beside this file, and no Rust to build one.
echo Install Rust and the MSVC build tools: https://rustup.rs
set "CODE=3"

:ended
rem Double-clicked, the window would close before the error could be read.
if not "%CODE%"=="0" echo %cmdcmdline% | find /i " /c " >nul && pause
exit /b %CODE%
