//! Object files as people use them: a world written to a folder, changed there, and read back, whole or not at all.

use super::program::{answers, log, run, show, verified_hash, workbench};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A world that has everything in it.
const EVERYTHING: &str = r##"
create_point point x=1.5 y=-0 label="é \"q\" \\ \n two lines"
create_shape brick color=[0.2, 0.6, 1] nothing=nil yes=true
set point friend=@brick far=inf near=-inf none=nan list=[[], [1, [2]], {a = {b = @brick}}] map={}
set point odd={[1] = 1, [3] = "x", [true] = 2, ref = "brick"} looks={ref = "brick"} also={value = 1} lines="]]\nx]=]\r\n"
= world.brick:set("self_map", { [world.brick] = 1, [world.point] = { world.brick } })
= world.point:set("long", table.create(40, "an element"))
clone point
= world.point:set("child", world.point:clone())
copy brick as=second
add_parent second parent=@point
create_point lost
set brick gone=@lost
delete lost
add_method point selector=move_by source="function(self, dx, dy)\n  self.x = self.x + dx -- [[ a comment ]]\n  return self\nend"
reprogram_method point instructions="Create a method to move the point by a given dx and dy" selector=shift
set workspace mine=1
"##;

/// Runs a task; its exit code and what it said on both streams.
fn task(args: &[&str], folder: &Path, world: &Path) -> (Option<i32>, String) {
    let mut command = workbench(args);
    command.arg(folder).arg("--world").arg(world);
    let output = run(command, b"");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

/// Every file with its bytes.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())).collect()
}

fn edit(folder: &Path, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(folder.join(name), text.replace(from, to)).unwrap();
}

#[test]
fn an_export_of_an_import_of_an_export_is_byte_identical() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second, a, b] = ["first", "second", "a", "b"].map(|name| dir.path().join(name));
    let (told, code) = answers(&first, EVERYTHING.as_bytes());
    assert_eq!(code, Some(0), "{told:#?}");
    let (code, said) = task(&["export"], &a, &first);
    assert_eq!(code, Some(0), "{said}");
    let written = files(&a);
    // point, brick, second, the workspace, two without names, and the manifest.
    assert_eq!(written.len(), 7, "{:?}", written.keys());
    assert!(!written.contains_key("proto.luau"));
    let (code, said) = task(&["import"], &a, &second);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("imported: 5 new, 1 changed, 0 deleted, 0 unchanged"), "{said}");
    assert_eq!(task(&["export"], &b, &second).0, Some(0));
    assert_eq!(files(&b), written);
    assert_eq!(task(&["export", "--check"], &a, &second).0, Some(0));
    // A world whose objects are as the files say takes no message at all.
    let records = log(&second).len();
    let (code, said) = task(&["import"], &a, &second);
    assert!(code == Some(0) && said.contains("nothing to import"), "{said}");
    assert_eq!(log(&second).iter().filter(|entry| entry["kind"] == "envelope").count(), 2);
    assert_eq!(log(&second).len(), records + 1, "only that a process took the world over");
    verified_hash(&second);
}

#[test]
fn a_change_in_a_file_is_one_message_that_can_be_looked_at_before() {
    let dir = tempfile::tempdir().unwrap();
    let (world, folder) = (dir.path().join("world"), dir.path().join("objects"));
    let teach = "create_point point x=1\nadd_method point selector=m source=\"function(self) return 1 end\"\n";
    assert_eq!(answers(&world, teach.as_bytes()).1, Some(0));
    assert_eq!(task(&["export"], &folder, &world).0, Some(0));
    edit(&folder, "point.luau", "x = 1", "x = 2");
    edit(&folder, "point.luau", "return 1", "return 2");
    edit(&folder, "point.luau", "name = \"point\"", "name = \"dot\"");
    let hand = "return {\n  format = 1,\n  name = 'by_hand',\n  parents = { 'dot' },\n}\n";
    fs::write(folder.join("by_hand.luau"), hand).unwrap();
    let before = verified_hash(&world);
    let (code, preview) = task(&["import", "--preview"], &folder, &world);
    assert_eq!(code, Some(0), "{preview}");
    for line in
        ["point.luau: point is renamed to dot", "  x 1 → 2", "by_hand is new, a child of dot", "1 new, 1 changed"]
    {
        assert!(preview.contains(line), "{line} is missing in\n{preview}");
    }
    assert_eq!(verified_hash(&world), before, "a preview does nothing");
    let envelopes = |world: &Path| log(world).iter().filter(|entry| entry["kind"] == "envelope").count();
    let count = envelopes(&world);
    let (code, said) = task(&["import"], &folder, &world);
    assert!(code == Some(0) && said.contains("imported: 1 new, 1 changed"), "{said}");
    assert_eq!(envelopes(&world), count + 1);
    let dot = show(&world, "dot");
    assert_eq!((&dot["slots"]["x"], &dot["methods"]["m"]["version"]), (&2.into(), &2.into()), "{dot}");
    let (told, _) = answers(&world, b"versions dot m\n");
    assert!(told[0]["result"][1].as_str().unwrap().starts_with("now 2  m()  by import"), "{told:#?}");
    assert_eq!(show(&world, "by_hand")["parents"][0], "dot");
    // What was imported may be replaced: each file gets its canonical form and its name.
    let (code, said) = task(&["export"], &folder, &world);
    assert_eq!(code, Some(0), "{said}");
    let names: Vec<String> = files(&folder).into_keys().collect();
    assert_eq!(names, ["by_hand.luau", "dot.luau", "objects.manifest"]);
    verified_hash(&world);
}

#[test]
fn a_folder_with_anything_wrong_in_it_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (world, folder) = (dir.path().join("world"), dir.path().join("objects"));
    assert_eq!(answers(&world, b"create_point point\ncreate_point brick\n").1, Some(0));
    assert_eq!(task(&["export"], &folder, &world).0, Some(0));
    let (hash, messages) = (verified_hash(&world), log(&world).len());
    edit(&folder, "point.luau", "x = 0", "x = 77, a = { ref = \"nobody\" }, b = { ref = \"brik\" }");
    let conflict =
        "return {\n  format = 1,\n  name = \"brick\",\n  id = \"00000000-0000-4000-8000-00000000000a\",\n}\n";
    fs::write(folder.join("conflict.luau"), conflict).unwrap();
    fs::write(folder.join("half.luau"), "return {\n  format = 1,\n  name =").unwrap();
    fs::write(folder.join("call.luau"), "return {\n  format = 1,\n  name = f(),\n}\n").unwrap();
    fs::write(folder.join("deep.luau"), format!("return {}", "{".repeat(1 << 20))).unwrap();
    for preview in [true, false] {
        let args: &[&str] = if preview { &["import", "--preview"] } else { &["import"] };
        let (code, said) = task(args, &folder, &world);
        assert_eq!(code, Some(1), "{said}");
        for part in [
            "no object is called `nobody`",
            "no object is called `brik`; nearest: brick",
            "conflict.luau: brick.luau gives the name brick to another object",
            "half.luau, line 3",
            "call.luau, line 3: only literals",
            "deep.luau, line 1: tables are nested",
            "nothing was imported",
        ] {
            assert!(said.contains(part), "{part} is missing in\n{said}");
        }
    }
    // The same, sent as a message all the same: the turn itself refuses, and nothing of it stays.
    let line = format!("import {}\nimport {}\nget point x\n", folder.display(), dir.path().join("none").display());
    let (told, code) = answers(&world, line.as_bytes());
    assert_eq!(code, Some(1));
    assert_eq!((&told[0]["status"], &told[0]["error"]["kind"]), (&"failed".into(), &"refused".into()), "{told:#?}");
    assert_eq!(told[1]["status"], "refused");
    assert_eq!(told[2]["result"], 0);
    assert_eq!(verified_hash(&world), hash);
    assert!(log(&world).len() > messages);
    fs::write(folder.join("bytes.luau"), b"return \xff").unwrap();
    let (code, said) = task(&["import"], &folder, &world);
    assert!(code == Some(1) && said.contains("not UTF-8"), "{said}");
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let (code, said) = task(&["import"], &empty, &world);
    assert!(code == Some(1) && said.contains("holds no object file"), "{said}");
}

#[test]
fn a_method_that_a_gate_refuses_is_refused_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let (world, folder) = (dir.path().join("world"), dir.path().join("objects"));
    assert_eq!(answers(&world, b"create_point point\n").1, Some(0));
    fs::create_dir(&folder).unwrap();
    let text = "return { format = 1, name = \"bad\", slots = { m = { method = [[function(x) end]] } } }";
    fs::write(folder.join("bad.luau"), text).unwrap();
    let (code, said) = task(&["import"], &folder, &world);
    assert!(code == Some(1) && said.contains("bad.luau, line 1: the first parameter of a method is `self`"), "{said}");
    let sent = b"= world.workspace:import({ [\"a.luau\"] = \"return {}\" })\nimport\n= world.point:import({})\n";
    let (told, _) = answers(&world, sent);
    assert!(told[0]["error"]["message"].as_str().unwrap().contains("no method sends it"), "{told:#?}");
    assert!(told[1]["error"]["message"].as_str().unwrap().contains("takes a folder"), "{told:#?}");
    assert!(told[2]["error"]["message"].as_str().unwrap().contains("goes to the workspace"), "{told:#?}");
}

#[test]
fn the_console_exports_and_imports_in_a_world_that_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (world, folder) = (dir.path().join("world"), dir.path().join("two words"));
    let method = |n| format!("add_method point selector=m source=\"function(self) return {n} end\"\n");
    let line = format!("create_point point x=1\nexport \"{}\"\nset point x=5\n", folder.display());
    let (told, code) = answers(&world, line.as_bytes());
    assert_eq!(code, Some(0), "{told:#?}");
    assert!(told[1]["result"].as_str().unwrap().contains("point.luau is written"), "{told:#?}");
    let line = format!("import {}\nget point x\nexport {0}\n", folder.display());
    let (told, code) = answers(&world, line.as_bytes());
    assert_eq!(code, Some(0), "{told:#?}");
    assert_eq!((&told[0]["status"], &told[1]["result"]), (&"completed".into(), &1.into()), "{told:#?}");
    assert_eq!(told[2]["result"], "0 written, 1 unchanged");
    // What the VM knew of an object is forgotten with it.
    let (path, old, new) = (folder.display(), method(1), method(2));
    let line =
        format!("{old}m point\nexport {path}\n{new}m point\nimport {path}\nm point\nundo_method point m\nm point\n");
    let (told, code) = answers(&world, line.as_bytes());
    assert_eq!(code, Some(0), "{told:#?}");
    assert_eq!([1, 4, 6, 8].map(|at: usize| told[at]["result"].as_u64().unwrap()), [1, 2, 1, 2], "{told:#?}");
    // A report works beside a workbench that has the world open; an import says who has it.
    assert_eq!(task(&["import"], &folder, &world).0, Some(0));
    let mut command = workbench(["--headless", "--json", "--world"]);
    let mut open = command.arg(&world).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let (code, said) = loop {
        let (code, said) = task(&["import"], &folder, &world);
        if code != Some(0) {
            break (code, said); // until the other has taken the world
        }
    };
    assert!(code == Some(3) && said.contains("open in another workbench"), "{said}");
    assert_eq!(task(&["export", "--check"], &folder, &world).0, Some(0));
    drop(open.stdin.take());
    assert!(open.wait().unwrap().success());
}

#[test]
fn an_import_that_is_killed_is_whole_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (world, folder) = (dir.path().join("world"), dir.path().join("objects"));
    let lines: String = (0..60).map(|at| format!("create_point p{at} x=0\n")).collect();
    assert_eq!(answers(&world, lines.as_bytes()).1, Some(0));
    assert_eq!(task(&["export"], &folder, &world).0, Some(0));
    let get: String = (0..60).map(|at| format!("get p{at} x\n")).collect();
    let (mut x, mut imported) = (0, 0);
    for round in 1..=12_u64 {
        for name in files(&folder).keys().filter(|name| name.starts_with('p')) {
            edit(&folder, name, &format!("x = {},", round - 1), &format!("x = {round},"));
        }
        let mut command = workbench(["import"]);
        let mut child = command.arg(&folder).arg("--world").arg(&world).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(10 + round * 5));
        let _ = child.kill();
        let _ = child.wait();
        let (told, code) = answers(&world, get.as_bytes());
        assert_eq!(code, Some(0));
        let found = told[0]["result"].as_u64().unwrap();
        assert!(told.iter().all(|answer| answer["result"] == found), "{told:#?}");
        assert!(found == x || found == round, "{found} after {x}, in round {round}");
        imported += u32::from(found == round);
        x = found;
    }
    verified_hash(&world);
    println!("{imported} of 12 killed imports were done");
}

#[test]
fn an_import_may_be_larger_than_any_other_message() {
    let dir = tempfile::tempdir().unwrap();
    let (world, folder) = (dir.path().join("world"), dir.path().join("objects"));
    fs::create_dir(&folder).unwrap();
    let file = |name: &str, bytes: usize| {
        let text =
            format!("return {{ format = 1, name = \"{name}\", slots = {{ text = \"{}\" }} }}", "x".repeat(bytes));
        fs::write(folder.join(format!("{name}.luau")), text).unwrap();
    };
    file("a", 3 << 20);
    let (code, said) = task(&["import"], &folder, &world);
    assert!(code == Some(0) && said.contains("1 new"), "{said}");
    file("b", 14 << 20);
    let (code, said) = task(&["import"], &folder, &world);
    assert!(code == Some(1) && said.contains("one import takes 16777216"), "{said}");
    verified_hash(&world);
}

#[test]
fn an_export_that_is_killed_leaves_each_file_old_or_new() {
    let dir = tempfile::tempdir().unwrap();
    let (world, folder) = (dir.path().join("world"), dir.path().join("objects"));
    let make = |x: u32| (0..60).map(|at| format!("set p{at} x={x}\n")).collect::<String>();
    let lines: String = (0..60).map(|at| format!("create_point p{at} x=0\n")).collect();
    assert_eq!(answers(&world, lines.as_bytes()).1, Some(0));
    assert_eq!(task(&["export"], &folder, &world).0, Some(0));
    let mut mixed = 0;
    for round in 1..=12_u32 {
        assert_eq!(answers(&world, make(round).as_bytes()).1, Some(0));
        let old = files(&folder);
        let mut command = workbench(["export"]);
        command.arg(&folder).arg("--world").arg(&world).env("WORKBENCH_WATCHED", "1"); // itself, not its child
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(u64::from(round) * 4));
        let _ = child.kill();
        let _ = child.wait();
        let found = files(&folder);
        let mut replaced = 0;
        for (name, text) in found.iter().filter(|(name, _)| name.starts_with('p')) {
            let is_new = text.contains(&format!("x = {round},"));
            assert!(is_new || *text == old[name], "{name} is neither old nor new:\n{text}");
            replaced += u32::from(is_new);
        }
        mixed += u32::from(replaced > 0 && replaced < 60);
        // What was killed is known again, and nothing of it is in the way.
        if round % 3 == 0 {
            let (code, said) = task(&["export"], &folder, &world);
            assert_eq!(code, Some(0), "{said}");
            assert!(files(&folder).keys().all(|name| !name.starts_with('.')));
            assert_eq!(task(&["export", "--check"], &folder, &world).0, Some(0));
        }
    }
    println!("{mixed} of 12 kills fell between two files");
}
