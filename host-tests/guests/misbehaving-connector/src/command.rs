//! The component's own command line: `COMMAND [ARGUMENT]`.

use crate::reach;
use std::io::Write;

impl wasip2::exports::cli::run::Guest for crate::Connector {
    fn run() -> Result<(), ()> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["arguments", ..] => println!("{}", arguments.join(" ")),
            ["variables"] => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
            ["copy"] => {
                let mut out = std::io::stdout();
                let copied = std::io::copy(&mut std::io::stdin(), &mut out);
                // Nobody flushes at the end of an exported function.
                copied.and_then(|_| out.flush()).map_err(|_| ())?;
            }
            ["exit", code] => wasip2::cli::exit::exit_with_code(code.parse().map_err(|_| ())?),
            ["trap"] => crate::behaviour::trap(),
            ["reach", url, ..] => match reach::get(url) {
                Ok(response) => println!("{response}"),
                Err(error) => println!("not reached: {error}"),
            },
            _ => {
                eprintln!(
                    "usage: arguments … | variables | copy | exit CODE | trap | reach URL \
                        [LOCATION]"
                );
                return Err(());
            }
        }
        Ok(())
    }
}

wasip2::cli::command::export!(Connector);
use crate::Connector;
