//! Handlers with type parameters and bounds.

use super::*;

trait Colour: Send + 'static {
    const NAME: &'static str;
}
struct Red;
struct Blue;
impl Colour for Red {
    const NAME: &'static str = "red";
}
impl Colour for Blue {
    const NAME: &'static str = "blue";
}

#[rate_limit(limit = 2, window = 60)]
async fn named<C, const N: usize>(Path(id): Path<u32>) -> String
where
    C: Colour,
{
    format!("{} {N} {id}", C::NAME)
}

#[rate_limit(limit = 2, window = 60, key = id)]
async fn named_by_argument<C: Colour, T>(Path(id): Path<T>) -> String
where
    T: Display + Send,
{
    format!("{} {id}", C::NAME)
}

#[tokio::test]
async fn are_given_at_the_route() {
    assert_eq!(got(get(named::<Red, 3>)).await, ok("red 3 7"));
    assert_eq!(got(get(named::<Blue, 4>)).await, ok("blue 4 7"));
    assert_eq!(got(get(named_by_argument::<Blue, u32>)).await, ok("blue 7"));
}

#[rate_limit(limit = 2, window = 60)]
async fn anything(id: Path<impl Display>) -> String {
    id.0.to_string()
}

#[rate_limit(limit = 2, window = 60, key = id.0)]
async fn anything_in_the_key(id: Path<impl Display>) -> String {
    id.0.to_string()
}

#[tokio::test]
async fn may_be_impl_trait() {
    // Such a handler needs a function pointer to get its type, with or without the attribute.
    let anything: fn(Limited<_, Path<u32>>) -> _ = anything;
    assert_eq!(got(get(anything)).await, ok("7"));
    let anything_in_the_key: fn(Limited<_, Path<String>>) -> _ = anything_in_the_key;
    assert_eq!(got(get(anything_in_the_key)).await, ok("7"));
}
