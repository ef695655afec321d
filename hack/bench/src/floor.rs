//! What reading a stream costs if nothing is done with it: the floors that `render` is compared with.
//!
//! `floor values FILE` deserialises every document into a JSON value and drops it; `floor events FILE` only drains the
//! events of the parser below. Both say on standard output how much they have seen.

use std::{env, error::Error, fs::File, io::BufReader};

use serde_json::Value;
use serde_saphyr::granit_parser::{Event, Parser};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [floor, file] = &arguments[..] else { return Err("usage: floor values|events FILE".into()) };
    let documents = match floor.as_str() {
        "values" => values(file)?,
        "events" => events(file)?,
        other => return Err(format!("no floor is called {other}").into()),
    };
    println!("{documents} documents");
    Ok(())
}

fn values(file: &str) -> Result<usize, Box<dyn Error>> {
    let mut reader = BufReader::with_capacity(1 << 16, File::open(file)?);
    let mut documents = 0;
    for document in serde_saphyr::read::<_, Value>(&mut reader) {
        let document = document?;
        documents += usize::from(document.is_object());
    }
    Ok(documents)
}

/// From one string, which is the fastest input that the parser has.
fn events(file: &str) -> Result<usize, Box<dyn Error>> {
    let text = std::fs::read_to_string(file)?;
    let mut documents = 0;
    for event in Parser::new_from_str(&text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        documents += usize::from(matches!(event, Event::DocumentStart(..)));
    }
    Ok(documents)
}
