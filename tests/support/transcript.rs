//! Documents that show commands and what they print: the lines after `$ ` in blocks of `console`, and what stands below each.

use std::process::{Command, Stdio};

#[derive(Clone, Copy, Eq, PartialEq)]
enum Line {
    Prose,
    Command,
    /// Of a command whose line before ends in a backslash.
    Continued,
    /// What a command printed when the document was written.
    Printed,
}

fn lines(document: &str) -> Vec<(Line, &str)> {
    let (mut in_block, mut goes_on) = (false, false);
    let mut told = Vec::new();
    for line in document.lines() {
        let kind = match line {
            "```console" | "```" => {
                in_block = line == "```console";
                Line::Prose
            }
            _ if !in_block => Line::Prose,
            _ if goes_on => Line::Continued,
            _ if line.starts_with("$ ") => Line::Command,
            _ => Line::Printed,
        };
        goes_on = matches!(kind, Line::Command | Line::Continued) && line.ends_with('\\');
        told.push((kind, line));
    }
    told
}

/// The commands that a document shows.
pub fn commands(document: &str) -> Vec<String> {
    let mut commands = Vec::<String>::new();
    for (kind, line) in lines(document) {
        match (kind, commands.last_mut()) {
            (Line::Command, _) => commands.push(line.trim_start_matches("$ ").to_owned()),
            (Line::Continued, Some(command)) => *command += &format!("\n{line}"),
            _ => {}
        }
    }
    commands
}

/// The document, if this is what its commands print.
pub fn with_outputs(document: &str, outputs: &[String]) -> String {
    let mut outputs = outputs.iter();
    let mut told = String::new();
    for (kind, line) in lines(document).into_iter().filter(|(kind, _)| *kind != Line::Printed) {
        told += &format!("{line}\n");
        if matches!(kind, Line::Command | Line::Continued) && !line.ends_with('\\') {
            told += outputs.next().map_or("", String::as_str);
        }
    }
    told
}

/// What commands print, errors too, in one shell: a variable that one of them sets is there for the next.
pub fn session(shell: &mut Command, commands: &[String]) -> Vec<String> {
    const SEPARATOR: char = '\u{1e}';
    let script: String = commands.iter().map(|command| format!("{{ {command}\n}} 2>&1\nprintf '\\036'\n")).collect();
    let output = shell.args(["-c", &script]).stdin(Stdio::null()).output().expect("a shell starts");
    let printed = super::text(output.stdout);
    let mut outputs: Vec<_> = printed.split(SEPARATOR).map(str::to_owned).collect();
    outputs.pop();
    assert_eq!(outputs.len(), commands.len(), "the shell gave up: {}", super::text(output.stderr));
    outputs
}
