//! Whether a window can be opened at all: asked before anything is built that would panic without.

/// Answers in one sentence why not.
///
/// # Errors
/// There is no display, or no graphics adapter that could draw.
pub fn probe() -> Result<(), String> {
    #[cfg(target_os = "linux")]
    {
        let named = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty());
        match named("DISPLAY") {
            // Only X11 is built in.
            None => return Err("no display: DISPLAY is not set".into()),
            Some(display) => display_answers(&display.to_string_lossy())?,
        }
    }
    let backends = wgpu::Backends::from_env().unwrap_or(wgpu::Backends::PRIMARY | wgpu::Backends::SECONDARY);
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle_from_env()
    });
    let adapters = bevy::tasks::block_on(instance.enumerate_adapters(backends));
    if adapters.is_empty() {
        return Err("no graphics adapter was found: a Vulkan, DirectX 12 or Metal driver is needed".into());
    }
    Ok(())
}

/// Whether the X server of a local display takes connections; a remote one is left to the window system to try.
#[cfg(target_os = "linux")]
fn display_answers(display: &str) -> Result<(), String> {
    let Some(rest) = display.strip_prefix(':').or_else(|| display.strip_prefix("unix:")) else { return Ok(()) };
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let path = format!("/tmp/.X11-unix/X{number}");
    if std::os::unix::net::UnixStream::connect(&path).is_err() {
        return Err(format!("no display: nothing answers at DISPLAY={display}"));
    }
    Ok(())
}
