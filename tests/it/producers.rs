//! A world in which several produce messages at once: the console, timers, objects that post to others in their turns, and one
//! that posts in its ticks. Each counts its own, and `sink` counts what it got of each.

use super::program::Session;
use serde_json::Value as Json;
use std::time::Duration;

/// Makes it. Nothing moves yet.
pub(crate) const SETTING: &str = r#"create_counter tally n=0
add_method tally selector=count source="function(self) self.n += 1 post(world.sink, 'take', 'tally') return self.n end"
add_method tally selector=fail source="function(self) self.n += 1 post(world.sink, 'take', 'nobody') error('as it was told to') end"
create_sink sink tally=0 beats=0 ring=0 walker=0
add_method sink selector=take source="function(self, who) self[who] += 1 end"
create_beats beats n=0
add_method beats selector=beat source="function(self) self.n += 1 post(world.sink, 'take', 'beats') end"
clone proto as=ring n=0
add_method ring selector=hop source="function(self, left) self.n += 1 post(world.sink, 'take', 'ring') if left > 0 then post(self, 'hop', left - 1) end end"
clone proto as=walker n=0
add_method walker selector=step source="function(self, seconds) self.n += 1 self.x = (self.x + 60 * seconds) % 500 if self.n % 5 == 0 then post(world.sink, 'take', 'walker') end end"
= every(0.05, world.beats, "beat"):rename("metronome")
set metronome due=false
"#;

/// Lets it move.
pub(crate) const START: &str = "start_stepping walker\n= (function() world.metronome.due = now() end)()\n";

/// Stops what moves. What is posted then, and what is set to be sent later, is still delivered.
const QUIET: &str = "stop_stepping walker\nset metronome due=false\n";

/// Stops what moves, and waits until nothing is under way and no timer is left that would fire. What was answered.
pub(crate) fn bring_to_rest(session: &mut Session) -> Vec<Json> {
    let told = QUIET.lines().map(|line| session.ask(line)).collect();
    let mut look = || {
        std::thread::sleep(Duration::from_millis(30));
        // A timer whose message was under way at two deaths waits for somebody who tries it again.
        for problem in session.ask("problems")["result"].as_array().unwrap() {
            if problem["selector"] == "fire" && problem["error"]["kind"] == "internal" {
                session.ask(&format!("retry {}", problem["seq"]));
            }
        }
        let objects = session.ask("objects")["result"].clone();
        let is_timer = |object: &Json| object["name"].is_null() && object["parents"][0] == "timer";
        let timers = objects.as_array().unwrap().iter().any(is_timer);
        let counters =
            ["tally", "ring", "beats", "sink"].map(|name| session.ask(&format!("describe {name}"))["result"].clone());
        (timers, counters)
    };
    let mut last = look();
    for _ in 0..2_000 {
        let next = look();
        if !next.0 && next == last {
            return told;
        }
        last = next;
    }
    panic!("it never came to rest: {last:?}, {}", session.ask("problems"));
}
