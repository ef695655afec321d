//! A table of testdata/replay: the scenario of one file.

use std::path::Path;

use crate::support::read;

#[derive(Debug)]
pub(crate) struct Table {
    name: String,
    /// What is written: a Deployment or a provider class.
    pub(crate) target: String,
    pub(crate) replicas: u32,
    pub(crate) writers: Vec<String>,
    pub(crate) steps: Vec<String>,
    /// By step, then by writer.
    outcomes: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn all(folder: &Path) -> Vec<Self> {
        #[expect(clippy::disallowed_methods, reason = "tables are files")]
        let entries = std::fs::read_dir(folder).expect("a folder of tables");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{} has no tables", folder.display());
        files.iter().map(|file| Self::read(file)).collect()
    }

    fn read(file: &Path) -> Self {
        let text = read(file);
        let mut rows = text.lines().filter(|line| line.starts_with('|')).map(cells);
        let mut head = rows.next().expect("a table");
        let target = head.remove(0);
        let (steps, outcomes) = rows.skip(1).map(|mut row| (row.remove(0), row)).unzip();
        let replicas = if target == "deployment of one pod" { 1 } else { 0 };
        Self { name: file.display().to_string(), target, replicas, writers: head, steps, outcomes }
    }

    /// Where a writer did something else than its column says. A dash was not measured.
    pub(crate) fn differences(&self, writer: &str, found: &[String]) -> Vec<String> {
        let column = self.writers.iter().position(|name| name == writer).expect("a writer of the table");
        let rows = self.steps.iter().zip(&self.outcomes).zip(found).enumerate();
        rows.filter(|(_, ((_, expected), found))| expected[column] != "-" && expected[column] != **found)
            .map(|(row, ((step, expected), found))| {
                let row = row + 1;
                format!("{} row {row} `{step}`: {writer} did `{found}`, measured was `{}`", self.name, expected[column])
            })
            .collect()
    }
}

fn cells(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}
