//! Which clients are accepted, which worker serves them, and which connections are closed for them.

use rustix::io::Errno;

use super::*;

#[test]
fn a_client_that_is_lost_before_accept_costs_no_idle_connection() {
    let (clients, mut woken) = mpsc::unbounded_channel();
    let (_room, wanted) = mpsc::unbounded_channel();
    let (_life, life) = watch::channel(Life::Running);
    let mut acceptor = Acceptor::new(vec![clients], Arc::default(), 1000, wanted, life);
    let idle: Vec<_> = (0..20).map(|_| acceptor.slots.make(0, Instant::now())).collect();
    idle.iter().for_each(|seat| acceptor.slots.keep(seat));
    let mut fails_with = |errno: Errno| {
        let pauses = acceptor.relieve(&io::Error::from(errno));
        (pauses.is_some(), std::iter::from_fn(|| woken.try_recv().ok()).count() as u64)
    };
    for errno in [Errno::CONNABORTED, Errno::CONNRESET, Errno::PROTO, Errno::INTR] {
        assert_eq!(fails_with(errno), (false, 0), "{errno:?}");
    }
    for errno in [Errno::PERM, Errno::INVAL] {
        assert_eq!(fails_with(errno), (true, 0), "no idle connection can help: {errno:?}");
    }
    assert_eq!(fails_with(Errno::MFILE), (true, RELIEF));
    for errno in [Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
        assert_eq!(fails_with(errno), (true, 0), "those that were asked are on their way out: {errno:?}");
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_listener_that_fails_for_good_is_retried_after_a_pause() {
    let (clients, _woken) = mpsc::unbounded_channel();
    let (_room, wanted) = mpsc::unbounded_channel();
    let (_life, life) = watch::channel(Life::Running);
    let acceptor = Acceptor::new(vec![clients], Arc::default(), 1000, wanted, life);
    let failing = accept::tests::failing::listener().await;
    assert!(accept::tests::failing::waits(std::pin::pin!(acceptor.accept(failing.into_std().expect("a socket")))));
}

/// How many clients a worker was sent, and how often it was woken for them.
fn handed(worker: &mut mpsc::UnboundedReceiver<WorkerMessage>) -> (usize, usize) {
    let batches = std::iter::from_fn(|| worker.try_recv().ok());
    batches.fold((0, 0), |(clients, wakes), handed| match handed {
        WorkerMessage::Clients(batch) => (clients + batch.len(), wakes + 1),
        WorkerMessage::Wake(_) => (clients, wakes + 1),
    })
}

#[test]
fn the_share_of_a_dead_worker_goes_to_the_others() {
    let (clients, mut workers): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::unbounded_channel()).unzip();
    let (_room, wanted) = mpsc::unbounded_channel();
    let (_life, life) = watch::channel(Life::Running);
    let mut acceptor = Acceptor::new(clients, Arc::default(), 1000, wanted, life);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("it listens");
    let mut rush = |times: usize| {
        (0..times).for_each(|_| acceptor.admit(stream.try_clone().expect("a duplicate")));
        acceptor.hand_over()
    };
    assert!(rush(3));
    drop(workers.remove(1));
    assert!(rush(100), "no client is lost");
    let shares: Vec<_> = workers.iter_mut().map(handed).collect();
    println!("clients, and wakes for them: {shares:?}");
    assert_eq!(shares.iter().map(|(clients, _)| clients).sum::<usize>(), 102);
    assert!(shares.iter().all(|(clients, wakes)| (50..=52).contains(clients) && *wakes <= 3), "{shares:?}");
    workers.clear();
    assert!(!rush(1), "no worker is left");
}

#[tokio::test]
async fn accepted_sockets_send_at_once_and_are_kept_alive() {
    let (clients, mut worker) = mpsc::unbounded_channel();
    let (_room, wanted) = mpsc::unbounded_channel();
    let (life, lives) = watch::channel(Life::Running);
    let acceptor = Acceptor::new(vec![clients], Arc::default(), 1000, wanted, lives);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("an address");
    // These are opened before the listener has its options.
    let early: Vec<_> = (0..3).map(|_| TcpStream::connect(address).expect("it listens")).collect();
    let check = async {
        let mut accepted = 0;
        while accepted < early.len() {
            let Some(WorkerMessage::Clients(batch)) = worker.recv().await else { panic!("clients come") };
            for Accepted { stream, .. } in batch {
                assert!(has_options(&stream));
                let idle = rustix::net::sockopt::tcp_keepidle(&stream).expect("an option");
                assert_eq!(idle, KEEPALIVE_AFTER);
                accepted += 1;
            }
        }
        life.send_replace(Life::Draining);
    };
    let (ended, ()) = tokio::join!(acceptor.accept(listener), check);
    ended.expect("it ends in order");
}
