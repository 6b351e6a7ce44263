//! The head guard: however a client's bytes are split, it stops at the same streams, and never hands on more of them.
#![no_main]

use inferometer::proxy::guard::follow;

libfuzzer_sys::fuzz_target!(|stream: &[u8]| {
    let (dribbled, stopped) = follow(stream, 1);
    for piece in [2, 3, 7, 64, stream.len().max(1)] {
        let (passed, stops) = follow(stream, piece);
        assert_eq!(stops, stopped, "in pieces of {piece}");
        // A piece that breaks the framing of a body is held back as a whole.
        assert!(passed <= dribbled && (stopped || passed == dribbled), "in pieces of {piece}");
    }
});
