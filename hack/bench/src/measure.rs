//! `measure PROGRAM ARGUMENT...` runs a program with its output dropped and prints what that cost: wall clock and
//! processor time in microseconds, peak memory in KiB, exit code.
//!
//! A program of its own because Linux counts the memory of the process that starts a program towards the program's peak:
//! this one is smaller than anything measured, which a scripting language is not.

use std::{
    env,
    error::Error,
    process::{Command, Stdio},
    time::Instant,
};

use wait4::Wait4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let program = arguments.next().ok_or("usage: measure PROGRAM ARGUMENT...")?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let ended = command.spawn()?.wait4()?;
    let wall = start.elapsed();
    let cpu = ended.rusage.utime + ended.rusage.stime;
    let code = ended.status.code().unwrap_or(-1);
    println!("{} {} {} {code}", wall.as_micros(), cpu.as_micros(), ended.rusage.maxrss / 1024);
    Ok(())
}
