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
//! `GET /simulated/state` tells what was really generated, to hold against what a proxy counted. Left out: anything
//! that changes what is stored (create, copy, delete, push, blobs), images, structured output and prompt caching.

mod answer;
mod ask;
mod catalogue;
mod clock;
mod embed;
mod generation;
mod listing;
mod native;
mod openai;
mod pull;
mod residency;
mod routes;
mod script;
mod tools;
mod world;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use crate::world::{Pace, World};

/// A simulated Ollama server.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address to serve on; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:11434")]
    listen: SocketAddr,

    /// How many times faster than the models' own pace to load, prefill and decode; 0 waits for nothing
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    speed: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(arguments.listen).await?;
    writeln!(io::stdout(), "simulated Ollama on http://{}", listener.local_addr()?)?;

    let world = Arc::new(World::new(Pace::new(arguments.speed)));
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { tokio::spawn(serve(stream, Arc::clone(&world))); }
                // Out of descriptors: wait for some to come back instead of spinning.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            },
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        }
    }
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
