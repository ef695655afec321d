//! What `hack/bench/credential` measures: judging a credential, and keeping known what a vault has.
//!
//!     credential judge FILE COUNT               judges the credential with this client secret, PEM or PKCS#12, so many times
//!     credential read FILE COUNT rsa|aws-lc     only reads the same bytes with libraries, and that library reads the key
//!     credential sweep FILE SECRETS WANTED      a vault with so many secrets, of which a process of its own keeps so many known
//!     credential level FILE SECRETS LEVEL       a vault with so many, all of which that process takes to a level for the first time
//!     credential keep PROXY AUTHORITY WANTED LEVEL    that process
//!
//! Of `judge` and `read` the output is how often and how much they allocate for one credential.

mod document;
mod judge;
mod keep;
mod sweep;

use std::{alloc::System, env, error::Error, hint::black_box};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["judge", file, count] => {
            let value = document::with_secret_of(file)?;
            repeat(count, || judge::judge(&value))
        }
        ["read", file, count, library] => {
            let value = document::with_secret_of(file)?;
            let key = judge::key_reader(library)?;
            repeat(count, || judge::read(&value, key))
        }
        ["sweep", file, secrets, wanted] => sweep::sweep(&std::fs::read(file)?, secrets.parse()?, wanted.parse()?),
        ["level", file, secrets, level] => sweep::level(file, secrets.parse()?, level.parse()?),
        ["keep", proxy, authority, wanted, level] => keep::keep(proxy, authority, wanted.parse()?, level.parse()?),
        _ => Err(format!("no command is called so: {}", arguments.join(" ")).into()),
    }
}

fn repeat<T>(count: &str, one: impl Fn() -> Result<T>) -> Result<()> {
    let count: usize = count.parse()?;
    // What is allocated once is not of each.
    black_box(one()?);
    let region = Region::new(ALLOCATOR);
    for _ in 0..count {
        black_box(one()?);
    }
    let change = region.change();
    println!("{} {}", (change.allocations + change.reallocations) / count, change.bytes_allocated / count);
    Ok(())
}
