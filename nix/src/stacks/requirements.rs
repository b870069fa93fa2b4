//! Which stacks come with which.

use super::{BASE, Library, Stack, Unknown};
use crate::names::StackId;

/// Why a stack is part of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// Every profile has it.
    Always,
    /// It was chosen.
    Chosen,
    /// These need it, and nobody chose it.
    NeededBy(Vec<StackId>),
}

/// A stack of a selection, and why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needed<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// Why it is there.
    pub because: Because,
}

/// Stacks that need each other in a circle.
pub type Cycle = Vec<StackId>;

/// The chosen stacks and whatever they need: `base` first, each after what it needs, otherwise in the order given.
/// A library has no circles, so there is always such an order.
///
/// # Errors
/// A chosen stack is not in the library.
pub fn requirements<'a>(library: &'a Library, chosen: &[StackId]) -> Result<Vec<Needed<'a>>, Unknown> {
    let mut order: Vec<&Stack> = Vec::new();
    for id in [BASE].into_iter().chain(chosen.iter().map(StackId::as_str)) {
        visit(library, library.stack(id)?, &mut order)?;
    }
    let because = |stack: &Stack| {
        if stack.id.as_str() == BASE {
            Because::Always
        } else if chosen.contains(&stack.id) {
            Because::Chosen
        } else {
            let needs = |other: &&&Stack| other.requires.contains(&stack.id);
            Because::NeededBy(order.iter().filter(needs).map(|other| other.id.clone()).collect())
        }
    };
    Ok(order.iter().map(|stack| Needed { stack, because: because(stack) }).collect())
}

fn visit<'a>(library: &'a Library, stack: &'a Stack, order: &mut Vec<&'a Stack>) -> Result<(), Unknown> {
    if order.iter().any(|done| done.id == stack.id) {
        return Ok(());
    }
    for id in &stack.requires {
        visit(library, library.stack(id.as_str())?, order)?;
    }
    order.push(stack);
    Ok(())
}

/// The circle that begins and ends at `stack`, when it needs itself.
pub(super) fn circle(stack: &Stack, all: &[&Stack]) -> Option<Cycle> {
    fn walk(at: &Stack, target: &StackId, all: &[&Stack], path: &mut Cycle, seen: &mut Vec<StackId>) -> bool {
        path.push(at.id.clone());
        for id in &at.requires {
            if id == target {
                path.push(id.clone());
                return true;
            }
            if seen.contains(id) {
                continue;
            }
            seen.push(id.clone());
            let next = all.iter().find(|other| other.id == *id);
            if next.is_some_and(|next| walk(next, target, all, path, seen)) {
                return true;
            }
        }
        path.pop();
        false
    }
    let mut path = Cycle::new();
    walk(stack, &stack.id, all, &mut path, &mut Vec::new()).then_some(path)
}
