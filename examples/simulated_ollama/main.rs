//! A simulated Ollama: the same paths, bytes and rhythm as the real server, without a model.
//!
//! It speaks Ollama's native interface and its OpenAI-compatible one, keeps models resident for their `keep_alive`,
//! loads, prefills and decodes at each model's pace, and stops a generation the moment its client is gone. The text
//! follows from the prompt alone, so that two runs say the same. Markers in the prompt bring on what real servers do
//! on bad days:
//!
//! | marker | effect |
//! |---|---|
//! | `[[error]]` | an error inside a 200 stream, halfway (500 where the answer is not streamed) |
//! | `[[truncate]]` | a clean end halfway, without a final object |
//! | `[[refuse]]` | 500 before anything is generated |
//! | `[[stall]]` | six seconds of silence halfway, at any `--speed` |
//! | `[[tool]]` | a call of the first tool given |
//! | `[[tokens=500]]` | so many tokens of text |
//! | `[[rate=200]]` | so many tokens a second |
//!
//! What real servers do every day is there too: every spelling of a model's name is answered and repeated, prompts that do
//! not fit the context are cut without a word, another `num_ctx` loads the model again, a model works on `--parallel`
//! requests at a time while others wait without a head, models make room for each other (`--max-loaded`), models that share
//! weights are one in memory under the name that was asked for first, `keep_alive: 0` sends one away, `/api/ps` takes its
//! time (`--ps-delay`), and an answer may begin before the request is over.
//!
//! Several of them make a fleet: `--models` says which models one has (a pull adds to them), and `--prompt-cache` how many
//! prompts it remembers for each, whose common beginning is not read again.
//!
//! `GET /simulated/state` tells what was really generated, to hold against what a proxy counted. `POST
//! /simulated/restart` closes every connection, refuses new ones for a moment and forgets what is in memory. `POST
//! /simulated/fail` lets every generation fail from then on, until `POST /simulated/recover`. `GET /simulated/helper` answers
//! like the privileged helper of a machine with one GPU, whose power follows the generations under way. Left out: anything else that
//! changes what is stored (create, copy, delete, push, blobs), images and structured output.

mod answer;
mod ask;
mod catalogue;
mod clock;
mod embed;
mod generation;
mod listing;
mod native;
mod openai;
mod power;
mod prompts;
mod pull;
mod residency;
mod routes;
mod script;
mod tools;
mod world;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::catalogue::Model;
use crate::world::{Limits, Pace, World};

/// A simulated Ollama server.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address to serve on; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:11434")]
    listen: SocketAddr,

    /// How many times faster than the models' own pace to load, prefill and decode; 0 waits for nothing
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    speed: f64,

    /// How many times faster than the models' own pace to load, where that is not `--speed`
    #[arg(long, value_name = "FACTOR")]
    load_speed: Option<f64>,

    /// Requests that each model works on at a time (OLLAMA_NUM_PARALLEL)
    #[arg(long, value_name = "REQUESTS", default_value_t = 4)]
    parallel: usize,

    /// Models in memory at a time (OLLAMA_MAX_LOADED_MODELS)
    #[arg(long, value_name = "MODELS", default_value_t = 3)]
    max_loaded: usize,

    /// The models that it has; all unless stated
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    models: Vec<String>,

    /// Prompts that it remembers for each model, whose common beginning with a new one is not read again
    #[arg(long, value_name = "PROMPTS", default_value_t = 0)]
    prompt_cache: usize,

    /// How long `/api/ps` takes to answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    ps_delay: u64,
}

/// How long a restart takes: long enough for a client to be refused.
const DOWN: Duration = Duration::from_millis(300);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let stored = stored(&arguments.models)?;
    let mut listener = TcpListener::bind(arguments.listen).await?;
    let address = listener.local_addr()?;
    writeln!(io::stdout(), "simulated Ollama on http://{address}")?;

    let ps_delay = Duration::from_millis(arguments.ps_delay);
    let limits = Limits { parallel: arguments.parallel.max(1), models: arguments.max_loaded, ps_delay };
    let pace = Pace::new(arguments.speed, arguments.load_speed.unwrap_or(arguments.speed));
    let world = Arc::new(World::new(pace, limits, stored, arguments.prompt_cache));
    let mut connections = JoinSet::new();
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(serve(stream, Arc::clone(&world))); }
                // Out of descriptors: wait for some to come back instead of spinning.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            () = world.restart.notified() => {
                drop(listener);
                connections.shutdown().await;
                world.residency.forget();
                world.prompts.forget();
                tokio::time::sleep(DOWN).await;
                listener = TcpListener::bind(address).await?;
            }
            Some(_) = connections.join_next() => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
    }
}

/// The models of these names; all where none is named.
fn stored(names: &[String]) -> io::Result<Vec<&'static Model>> {
    if names.is_empty() {
        return Ok(catalogue::MODELS.iter().collect());
    }
    let missing = |name| io::Error::new(io::ErrorKind::InvalidInput, format!("there is no simulated model {name}"));
    names.iter().map(|name| catalogue::find(name).ok_or_else(|| missing(name))).collect()
}

async fn serve(stream: TcpStream, world: Arc<World>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let world = Arc::clone(&world);
        async move { Ok::<_, std::convert::Infallible>(routes::answer(request, world).await) }
    });
    // An error here is a client that left or spoke no HTTP: nothing to tell anybody.
    let _ = http1::Builder::new().title_case_headers(true).serve_connection(TokioIo::new(stream), service).await;
}
