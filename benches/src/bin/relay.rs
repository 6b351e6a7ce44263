//! A bare TCP relay: `relay LISTEN BACKEND`.
//!
//! The lower bound for a proxy in user space: one runtime and one listener per core, bytes copied both ways, nothing
//! parsed. Prints `ready` once it listens.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let mut addresses = std::env::args().skip(1).map(|text| text.parse().map_err(io::Error::other));
    let (Some(listen), Some(backend)) = (addresses.next(), addresses.next()) else {
        return Err(io::Error::other("usage: relay LISTEN BACKEND"));
    };
    let (listen, backend) = (listen?, backend?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // All listeners are bound before any serves, so that `ready` holds for all.
    let listeners = (0..cores).map(|_| bind(listen)).collect::<io::Result<Vec<_>>>()?;
    let threads: Vec<_> =
        listeners.into_iter().map(|listener| std::thread::spawn(move || serve(listener, backend))).collect();
    println!("ready");
    threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| io::Error::other("a thread panicked"))?)
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn serve(listener: std::net::TcpListener, backend: SocketAddr) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (client, _) = listener.accept().await?;
            tokio::task::spawn_local(relay(client, backend));
        }
    })
}

/// An error closes both sides; the caller ignores it.
async fn relay(mut client: TcpStream, backend: SocketAddr) -> io::Result<()> {
    let mut server = TcpStream::connect(backend).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
