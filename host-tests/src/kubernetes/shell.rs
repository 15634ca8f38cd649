//! A shell that stays open, as an operator has one on each host.

use super::Node;
use crate::process::Process;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

/// The longest that a block may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A shell on a node. What one block sets is there for the next.
pub struct Shell {
    name: String,
    process: Process,
    lines: mpsc::Receiver<String>,
    block: std::path::PathBuf,
}

impl Shell {
    /// Opens one.
    pub fn open(node: &Node) -> Shell {
        let mut command = node.command("sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process::start(command);
        let stdout = BufReader::new(process.child().stdout.take().expect("it is a pipe"));
        let (reported, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let lines = stdout.lines().map_while(Result::ok);
            lines.for_each(|line| drop(reported.send(line)));
        });
        Shell { name: node.name.clone(), process, lines, block: node.folder().join("block") }
    }

    /// Runs a block as it is; returns its exit code and what it wrote.
    #[track_caller]
    pub fn try_run(&mut self, block: &str) -> (i32, String) {
        const END: &str = "the block ended with ";
        std::fs::write(&self.block, block).expect("it is ours");
        let stdin = self.process.child().stdin.as_mut().expect("it is a pipe");
        let block_file = self.block.display();
        let order = format!(". {block_file} </dev/null 2>&1; printf '\\n{END}%s\\n' $?\n");
        stdin.write_all(order.as_bytes()).expect("the shell runs");
        let mut output = String::new();
        loop {
            let line = self.lines.recv_timeout(LIMIT).unwrap_or_else(|error| {
                panic!("on {}, a block does not end ({error}):\n{block}\n---\n{output}", self.name)
            });
            if let Some(code) = line.strip_prefix(END) {
                return (code.parse().expect("an exit code"), output);
            }
            output.push_str(&line);
            output.push('\n');
        }
    }

    /// Runs a block, which has to succeed; returns what it wrote.
    #[track_caller]
    pub fn run(&mut self, block: &str) -> String {
        let (code, output) = self.try_run(block);
        assert_eq!(code, 0, "on {}:\n{block}\n---\n{output}", self.name);
        output
    }
}
