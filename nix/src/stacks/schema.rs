//! What a stack's file may say. Whatever can be told from one entry alone (a name that cannot be a package, a
//! path that is no option, a port above 65,535) is refused while reading, so the error has the entry's line.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};

use crate::{
    names::{PackageName, StackId, UnfreeName},
    nixos::{Group, Port},
    options::OptionPath,
    value::{Expression, Text, Value},
};

/// Options and what they are set to, in the order of the file.
pub type OptionTable = BTreeMap<OptionPath, Data>;

/// A bundle of packages and services.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stack {
    /// Its name in profiles and commands.
    pub id: StackId,
    /// Its name for people.
    pub title: Text,
    /// Under which heading it is listed.
    pub category: Text,
    /// Stacks that come along.
    #[serde(default)]
    pub requires: Vec<StackId>,
    /// Stacks that go well with it, and why.
    #[serde(default)]
    pub suggests: BTreeMap<StackId, Text>,
    /// Packages.
    #[serde(default)]
    pub packages: Vec<StackPackage>,
    /// Modules of the one Python interpreter.
    #[serde(default)]
    pub python: Vec<PackageName>,
    /// Names of packages whose licence has to be allowed.
    #[serde(default)]
    pub unfree: Vec<UnfreeName>,
    /// Options of a NixOS machine.
    #[serde(default)]
    pub nixos: OptionTable,
    /// Further options, or other values, when another stack is there too.
    #[serde(default)]
    pub when: BTreeMap<StackId, OptionTable>,
    /// Options that need something from the operator.
    #[serde(default)]
    pub given: Vec<Given>,
    /// Ports the firewall lets through.
    #[serde(default)]
    pub ports: Ports,
    /// Groups the user joins.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Options of home-manager.
    #[serde(default)]
    pub home: OptionTable,
    /// What whoever takes the stack should know.
    #[serde(default)]
    pub notes: Vec<Text>,
}

/// A package of a stack: its attribute alone, or with the program it brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackPackage {
    /// The attribute.
    pub attr: PackageName,
    /// The program to look for when asking whether it is installed.
    pub program: Option<Text>,
}

/// Options that need something only the operator knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Names of the host's `given` settings; each stands as `<name>` in paths and texts.
    pub needs: Vec<Text>,
    /// Options of a NixOS machine.
    #[serde(default)]
    pub nixos: OptionTable,
    /// Options of home-manager.
    #[serde(default)]
    pub home: OptionTable,
}

/// Ports the firewall lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ports {
    /// TCP ports.
    pub tcp: Vec<Port>,
    /// UDP ports.
    pub udp: Vec<Port>,
}

/// Plain data, or `{nix: pkgs.NAME}` for a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Anything but an expression.
    Plain(Value),
    /// Nix source: in a user's stack a package and nothing else.
    Nix(String),
    /// A list with an expression somewhere in it.
    List(Vec<Data>),
    /// A set with an expression somewhere in it.
    Attrs(BTreeMap<Text, Data>),
}

impl Data {
    /// The value, and an expression only where it names a package: `Err` has the source of another one.
    pub fn value(&self) -> Result<Value, &str> {
        self.with(|source| source.strip_prefix("pkgs.")?.parse().ok().map(Value::Package))
    }

    /// The value with any expression: for our own data.
    pub(crate) fn own_value(&self) -> Value {
        match self.value() {
            Ok(value) => value,
            Err(_) => {
                let whole = |source: &str| Some(Value::Expression(Expression::own(source)));
                self.with(whole).expect("every source is taken")
            }
        }
    }

    fn with<'a>(&'a self, read: impl Fn(&str) -> Option<Value> + Copy) -> Result<Value, &'a str> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Nix(source) => read(source).ok_or(source.as_str()),
            Self::List(elements) => {
                elements.iter().map(|element| element.with(read)).collect::<Result<_, _>>().map(Value::List)
            }
            Self::Attrs(attributes) => {
                let pair = |(name, data): (&Text, &'a Data)| Ok((name.clone(), data.with(read)?));
                attributes.iter().map(pair).collect::<Result<_, _>>().map(Value::Attrs)
            }
        }
    }
}

impl<'de> Deserialize<'de> for StackPackage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = StackPackage;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a package: its attribute, or {attr: …, program: …}")
            }

            fn visit_str<E: de::Error>(self, attr: &str) -> Result<StackPackage, E> {
                Ok(StackPackage { attr: attr.parse().map_err(E::custom)?, program: None })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StackPackage, A::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Whole {
                    attr: PackageName,
                    program: Option<Text>,
                }
                let Whole { attr, program } = Whole::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(StackPackage { attr, program })
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyData)
    }
}

struct AnyData;

impl<'de> Visitor<'de> for AnyData {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value: true, false, a whole number, a text, a list or a mapping")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Plain(Value::Bool(value)))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Plain(Value::Int(value)))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Data, E> {
        let value = i64::try_from(value).map_err(|_| E::custom("the number is too large for Nix"))?;
        Ok(Data::Plain(Value::Int(value)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Data, E> {
        let text = Text::try_from(text.to_owned()).map_err(E::custom)?;
        Ok(Data::Plain(Value::Text(text)))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Data, E> {
        Ok(Data::Plain(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Data, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element::<Data>()? {
            elements.push(element);
        }
        let plain = |data: &Data| match data {
            Data::Plain(value) => Some(value.clone()),
            _ => None,
        };
        Ok(match elements.iter().map(plain).collect::<Option<Vec<_>>>() {
            Some(values) => Data::Plain(Value::List(values)),
            None => Data::List(elements),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Data, A::Error> {
        let mut attributes: BTreeMap<Text, Data> = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<Text, Data>()? {
            attributes.insert(name, value);
        }
        if let [(name, Data::Plain(Value::Text(source)))] = attributes.iter().collect::<Vec<_>>()[..]
            && name.as_str() == "nix"
        {
            return Ok(Data::Nix(source.as_str().to_owned()));
        }
        let plain = |(name, data): (&Text, &Data)| match data {
            Data::Plain(value) => Some((name.clone(), value.clone())),
            _ => None,
        };
        Ok(match attributes.iter().map(plain).collect::<Option<BTreeMap<_, _>>>() {
            Some(values) => Data::Plain(Value::Attrs(values)),
            None => Data::Attrs(attributes),
        })
    }
}
