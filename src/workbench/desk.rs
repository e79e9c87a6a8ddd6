//! The desk: one port, what it was told, what is chosen; and the way of commands out.

use super::errands::{Errand, Errands};
use crate::language::console::{ConsoleLine, LocalCommand, fault_text, local_answer, parse_line, quarantine_fault};
use crate::morphic::{Hand, Mirror, Progress, Track, Viewpoint, command_line};
use crate::object::{Name, ObjectId, Objects, Target, UICommand, Value};
use crate::persistence::ImportFolder;
use crate::systems::{Busy, Port, Received, Waker};
use bevy::prelude::Resource;
use std::collections::{BTreeMap, VecDeque};

/// What a panel wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A line of the console.
    Say(String),
    /// A message.
    Send(UICommand),
    /// An object is chosen, or none.
    Select(Option<ObjectId>),
    /// A sentence for the transcript: what was typed is no value, say.
    Warn(String),
    /// The notice of an end without a close was read.
    PutNoticeAway,
    /// What is in quarantine is shown, or not.
    ShowQuarantine(bool),
}

impl Command {
    /// A message with named arguments to an object. `None` where a name is none.
    pub fn to(target: ObjectId, selector: &str, args: Vec<(&str, Value)>) -> Option<Self> {
        let args: Option<Vec<(Name, Value)>> =
            args.into_iter().map(|(name, value)| Some((Name::new(name).ok()?, value))).collect();
        Some(Self::Send(UICommand::new(Target::Id(target), Name::new(selector).ok()?, args?)))
    }
}

/// Everything that the window keeps between frames.
#[derive(Resource)]
pub struct Desk {
    port: Port,
    /// What the port was told.
    pub mirror: Mirror,
    /// The chosen object.
    pub selected: Option<ObjectId>,
    /// From where the world is seen.
    pub view: Viewpoint,
    /// The mouse in the world.
    pub hand: Hand,
    /// The object that follows the pointer, and how far it is from its place.
    pub carried: Option<(ObjectId, [f32; 2])>,
    /// The object whose knob follows the pointer, where it runs, and the value it stands at.
    pub slid: Option<(ObjectId, Track, f64)>,
    /// The answer of this command is chosen when it comes.
    select_answer_of: Option<u64>,
    errands: Errands,
    /// Folders whose import has no answer yet, by the ticket of its message.
    importing: BTreeMap<u64, ImportFolder>,
    /// Lines that were said while files are read or written: they may be about what comes of it.
    waiting: VecDeque<String>,
    /// Whether the notice of an end without a close was put away.
    pub notice_is_away: bool,
    /// Whether what is in quarantine is shown.
    pub shows_quarantine: bool,
    /// Whether the user asked for the end.
    pub wants_to_quit: bool,
}

impl Desk {
    /// A desk that knows nothing yet. `waker` is called when a file was read or written.
    pub fn new(port: Port, waker: Waker) -> Self {
        Self {
            port,
            mirror: Mirror::default(),
            selected: None,
            view: Viewpoint::default(),
            hand: Hand::default(),
            carried: None,
            slid: None,
            select_answer_of: None,
            errands: Errands::new(waker),
            importing: BTreeMap::new(),
            waiting: VecDeque::new(),
            notice_is_away: false,
            shows_quarantine: false,
            wants_to_quit: false,
        }
    }

    /// Takes in what came. Answers whether anything did.
    pub fn receive(&mut self) -> bool {
        let mut any = false;
        while let Some(received) = self.port.try_receive() {
            any = true;
            match received {
                Received::Event(event) => self.mirror.learn(event),
                Received::Gap(missed) => self.mirror.missed(missed),
                Received::Closed => break,
            }
        }
        self.run_errands();
        for answer in self.mirror.take_answers() {
            if let Some(folder) = self.importing.remove(&answer.ticket)
                && answer.result.is_ok()
            {
                self.errands.note(folder, self.mirror.image().clone());
            }
            if self.select_answer_of == Some(answer.ticket) {
                self.select_answer_of = None;
                if let Ok(Value::Object(id)) = answer.result {
                    self.selected = Some(id);
                }
            }
        }
        if self.selected.is_some_and(|id| self.mirror.image().object(id).is_none())
            && self.mirror.times_told_whole() > 0
        {
            self.selected = None;
        }
        any
    }

    /// Carries commands out: as messages, or by what the desk knows itself.
    pub fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Say(line) => self.say(&line),
                Command::Send(command) => drop(self.send(command, None)),
                Command::Select(id) => self.selected = id,
                Command::PutNoticeAway => self.notice_is_away = true,
                Command::ShowQuarantine(shows) => self.shows_quarantine = shows,
                Command::Warn(sentence) => self.mirror.transcript.note("", &sentence, Progress::Warning),
            }
        }
    }

    /// Takes in what was read and written, then what was said meanwhile.
    fn run_errands(&mut self) {
        while let Some(errand) = self.errands.next() {
            match errand {
                Errand::Read { line, files } => match files.map(|files| (files.command(), files)) {
                    Ok((Ok(command), files)) => {
                        if let Some(ticket) = self.send(command, Some(line)) {
                            self.mirror.await_answer(ticket);
                            self.importing.insert(ticket, files);
                        }
                    }
                    Ok((Err(error), _)) => self.mirror.transcript.note(&line, &error.to_string(), Progress::Failed),
                    Err(error) => self.mirror.transcript.note(&line, &error.to_string(), Progress::Failed),
                },
                Errand::Written { line, told } => {
                    let (told, progress) = match told {
                        Ok(exported) if exported.is_done => (exported.lines.join("\n"), Progress::Note),
                        Ok(exported) => (exported.lines.join("\n"), Progress::Failed),
                        Err(error) => (error.to_string(), Progress::Failed),
                    };
                    self.mirror.transcript.note(&line, &told, progress);
                }
            }
        }
        while !self.errands.is_busy()
            && let Some(line) = self.waiting.pop_front()
        {
            self.say(&line);
        }
    }

    fn say(&mut self, line: &str) {
        if self.errands.is_busy() {
            self.waiting.push_back(line.to_string());
            return;
        }
        match parse_line(line) {
            Ok(ConsoleLine::Blank) => {}
            Ok(ConsoleLine::Message(command)) => {
                let makes = command.selector.starts_with("create_");
                if let Some(ticket) = self.send(command, Some(line.trim().to_string()))
                    && makes
                {
                    self.select_answer(ticket);
                }
            }
            Ok(ConsoleLine::Local(LocalCommand::Quit)) => self.wants_to_quit = true,
            Ok(ConsoleLine::Local(LocalCommand::Import(folder))) => self.errands.read(line.trim().into(), folder),
            Ok(ConsoleLine::Local(LocalCommand::Export(folder))) => {
                let image = self.mirror.image().clone();
                self.errands.write(line.trim().into(), folder, image);
            }
            Ok(ConsoleLine::Local(LocalCommand::LetGo(number))) => self.let_go(line.trim(), number),
            Ok(ConsoleLine::Local(command)) => {
                let (answer, progress) = match quarantine_fault(&command, self.mirror.replica()) {
                    Some(fault) => (fault_text(&fault), Progress::Failed),
                    None => (local_answer(&command, self.mirror.replica()), Progress::Note),
                };
                self.mirror.transcript.note(line.trim(), &answer, progress);
            }
            Err(fault) => self.mirror.transcript.note(line.trim(), &fault_text(&fault), Progress::Failed),
        }
    }

    fn let_go(&mut self, line: &str, number: u64) {
        match self.port.let_go(number) {
            Ok(ticket) => {
                self.mirror.transcript.sent(ticket, line.to_string());
                self.mirror.await_let_go(number, ticket);
            }
            Err(busy @ Busy) => self.mirror.transcript.note(line, &busy.to_string(), Progress::Failed),
        }
    }

    /// Sends a message; the transcript shows it as `line`. `None` where the world takes none at the moment.
    pub fn send(&mut self, command: UICommand, line: Option<String>) -> Option<u64> {
        let line = line.unwrap_or_else(|| command_line(&command, &self.mirror));
        match self.port.send(command) {
            Ok(ticket) => {
                self.mirror.transcript.sent(ticket, line);
                Some(ticket)
            }
            Err(busy @ Busy) => {
                self.mirror.transcript.note(&line, &busy.to_string(), Progress::Failed);
                None
            }
        }
    }

    /// Chooses the object that this command answers, when it does.
    pub fn select_answer(&mut self, ticket: u64) {
        self.mirror.await_answer(ticket);
        self.select_answer_of = Some(ticket);
    }
}
