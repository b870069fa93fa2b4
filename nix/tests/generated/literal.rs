//! Nix's literals, read back by another parser than the printer is made of.

use std::collections::BTreeMap;

use capsule_nix::value::{Text, Value};
use rnix::{
    Root,
    ast::{self, HasEntry, InterpolPart},
};
use rowan::ast::AstNode;

/// The value of an expression that consists of literals; `None` for any other.
pub fn value_of(source: &str) -> Option<Value> {
    value(&Root::parse(source).ok().ok()?.expr()?)
}

fn value(expression: &ast::Expr) -> Option<Value> {
    match expression {
        ast::Expr::Paren(inner) => value(&inner.expr()?),
        ast::Expr::Ident(name) => match name.ident_token()?.text() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        },
        ast::Expr::Literal(literal) => Some(Value::Int(literal.syntax().text().to_string().parse().ok()?)),
        ast::Expr::UnaryOp(negated) => match value(&negated.expr()?)? {
            Value::Int(number) => Some(Value::Int(number.checked_neg()?)),
            _ => None,
        },
        ast::Expr::BinOp(difference) => match (value(&difference.lhs()?)?, value(&difference.rhs()?)?) {
            (Value::Int(one), Value::Int(other)) => Some(Value::Int(one.checked_sub(other)?)),
            _ => None,
        },
        ast::Expr::Str(literal) => Some(Value::Text(Text::try_from(string(literal)?).ok()?)),
        ast::Expr::List(list) => {
            list.items().map(|item| value(&item)).collect::<Option<_>>().map(Value::List)
        }
        ast::Expr::AttrSet(set) => {
            let pair = |definition: ast::AttrpathValue| {
                let attrs: Vec<_> = definition.attrpath()?.attrs().collect();
                let [attr] = &attrs[..] else { return None };
                Some((Text::try_from(name(attr)?).ok()?, value(&definition.value()?)?))
            };
            set.attrpath_values().map(pair).collect::<Option<BTreeMap<_, _>>>().map(Value::Attrs)
        }
        _ => None,
    }
}

fn name(attr: &ast::Attr) -> Option<String> {
    match attr {
        ast::Attr::Ident(identifier) => Some(identifier.ident_token()?.text().to_owned()),
        ast::Attr::Str(literal) => string(literal),
        ast::Attr::Dynamic(_) => None,
    }
}

fn string(literal: &ast::Str) -> Option<String> {
    let part = |part| match part {
        InterpolPart::Literal(text) => Some(text),
        InterpolPart::Interpolation(_) => None,
    };
    literal.normalized_parts().into_iter().map(part).collect()
}

/// Every string of a file that has no interpolation in it, and every name that stands without quotes.
pub fn strings(source: &str) -> Vec<String> {
    let root = Root::parse(source).syntax();
    let literals = root.descendants().filter_map(ast::Str::cast).filter_map(|literal| string(&literal));
    let names = root.descendants().filter_map(ast::Ident::cast).map(|name| name.to_string());
    literals.chain(names).collect()
}
