//! Merges logs by time: those of several servers, or the rotated ones of one, in any order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::order::Hit;
use crate::reader::Reader;
use crate::source::Source;

pub(crate) struct Merge {
    sources: Vec<Source>,
    /// The next request of each source, and the number of the source.
    next: BinaryHeap<Reverse<(u64, usize, Hit)>>,
}

impl Merge {
    pub(crate) fn new(sources: Vec<Source>, reader: &mut Reader<'_>) -> Result<Merge, String> {
        let mut merge = Merge { next: BinaryHeap::with_capacity(sources.len()), sources };
        for at in 0..merge.sources.len() {
            merge.refill(at, reader)?;
        }
        Ok(merge)
    }

    /// The next request, and the number of its log.
    pub(crate) fn next(&mut self, reader: &mut Reader<'_>) -> Result<Option<(Hit, usize)>, String> {
        let Some(Reverse((_, at, hit))) = self.next.pop() else { return Ok(None) };
        self.refill(at, reader)?;
        Ok(Some((hit, at)))
    }

    fn refill(&mut self, at: usize, reader: &mut Reader<'_>) -> Result<(), String> {
        if let Some(source) = self.sources.get_mut(at)
            && let Some(hit) = source.next(reader)?
        {
            self.next.push(Reverse((hit.micros, at, hit)));
        }
        Ok(())
    }

    pub(crate) fn name(&self, at: usize) -> &str {
        self.sources.get(at).map_or("", |source| source.name.as_str())
    }

    /// How many lines were read.
    pub(crate) fn lines(&self) -> u64 {
        self.sources.iter().map(|source| source.number).sum()
    }
}
