//! The products of clients, as texts that the exchanges of one thread share.
//!
//! Nearly every request is of a product that was seen lately: its text is found again without an allocation, and without
//! judging it again. Memory is bounded, however many products clients make up.

use std::cell::RefCell;
use std::sync::Arc;

use crate::exchange::client::{first_token, product};

/// Products that are kept, a power of two: more than most proxies have clients.
const SLOTS: usize = 32;

/// The products that were seen lately.
#[derive(Debug, Default)]
pub(super) struct Products(RefCell<[Option<Arc<str>>; SLOTS]>);

impl Products {
    /// The product that a `User-Agent` begins with; `None` for one that is not kept.
    pub(super) fn of(&self, user_agent: &[u8]) -> Option<Arc<str>> {
        let token = first_token(user_agent);
        let mut slots = self.0.borrow_mut();
        let slot = &mut slots[slot(token)];
        if slot.as_ref().is_none_or(|known| known.as_bytes() != token) {
            *slot = Some(product(user_agent)?.into());
        }
        slot.clone()
    }
}

/// By the length and three of the bytes.
fn slot(token: &[u8]) -> usize {
    let byte = |at: usize| token.get(at).copied().map_or(0, usize::from);
    (token.len() + byte(0) * 5 + byte(token.len() / 2) * 3 + byte(token.len().wrapping_sub(1)) * 7) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_of_one_product_share_its_text() {
        let products = Products::default();
        let first = products.of(b"ollama/0.33.0 (amd64 linux)").expect("a product");
        let again = products.of(b"ollama/0.34.0").expect("a product");
        assert_eq!(&*first, "ollama");
        assert!(Arc::ptr_eq(&first, &again));
    }

    #[test]
    fn a_product_that_is_not_kept_leaves_the_others_in_place() {
        let products = Products::default();
        let names: Vec<String> = (0..26 * 26).map(|at| format!("c{}{}", letter(at / 26), letter(at))).collect();
        for name in names.iter().chain(&names) {
            assert_eq!(products.of(name.as_bytes()).as_deref(), Some(&**name));
            assert_eq!(products.of(b"10.0.0.1/1.0"), None);
            assert_eq!(products.of(b""), None);
        }
        assert_eq!(products.0.borrow().len(), SLOTS);
    }

    fn letter(at: usize) -> char {
        char::from(b'a' + (at % 26) as u8)
    }
}
