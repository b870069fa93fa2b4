//! What a profile comes to: stacks with what they need, packages, the one Python, licences, models.

use std::collections::BTreeSet;

use super::{Editor, Profile, Sprout};
use crate::{
    names::{ModelName, PackageName, StackId, UnfreeName},
    options::Origin,
    stacks::{self, Library, Stack, StackPackage, Unknown, requirements},
    value::{Text, Value},
};

/// Why a stack is part of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// Every profile has it.
    Always,
    /// The profile names it.
    Chosen,
    /// These stacks, or sprouts, need it.
    NeededBy(Vec<Origin>),
}

/// A stack of a profile, and why it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// Why it is there.
    pub because: Because,
}

/// A package of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its attribute.
    pub attr: PackageName,
    /// The program it brings, when that is known.
    pub program: Option<Text>,
    /// Who asked for it.
    pub origins: Vec<Origin>,
}

/// A module of the one Python interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedModule {
    /// Its attribute among the interpreter's packages.
    pub module: PackageName,
    /// Who asked for it.
    pub origins: Vec<Origin>,
}

/// What a profile comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection<'a> {
    /// The profile.
    pub profile: &'a Profile,
    /// Its stacks, `base` first, each after what it needs.
    pub stacks: Vec<Chosen<'a>>,
    /// Its sprouts.
    pub sprouts: Vec<&'a Sprout>,
    /// Its packages, each once, without Python's modules.
    pub packages: Vec<Selected>,
    /// The modules of its Python interpreter, each once; without any there is no interpreter.
    pub python: Vec<SelectedModule>,
    /// Names of packages whose licence is allowed, and no others.
    pub unfree: BTreeSet<UnfreeName>,
    /// The models Ollama pulls.
    pub models: Vec<(ModelName, Origin)>,
    /// Its editor.
    pub editor: Option<&'a Editor>,
}

/// What `profile` comes to.
///
/// # Errors
/// It names a stack, sprout or editor that is not in the library.
pub fn select<'a>(library: &'a Library, profile: &'a Profile) -> Result<Selection<'a>, Unknown> {
    let contents = &profile.contents;
    let sprouts: Vec<&Sprout> =
        contents.sprouts.iter().map(|name| library.sprout(name.as_str())).collect::<Result<_, _>>()?;
    let editor = contents.editor.as_ref().map(|name| library.editor(name.as_str())).transpose()?;
    let wanted: Vec<StackId> =
        contents.stacks.iter().chain(sprouts.iter().flat_map(|sprout| &sprout.stacks)).cloned().collect();
    let stacks: Vec<Chosen> = requirements(library, &wanted)?
        .into_iter()
        .map(|needed| Chosen { because: because(profile, &sprouts, &needed), stack: needed.stack })
        .collect();

    let mut selection = Selection {
        profile,
        packages: Vec::new(),
        python: Vec::new(),
        unfree: contents.unfree.iter().cloned().collect(),
        models: Vec::new(),
        stacks,
        sprouts,
        editor,
    };
    for chosen in selection.stacks.clone() {
        let origin = Origin::Stack(chosen.stack.id.clone());
        chosen.stack.packages.iter().for_each(|package| selection.add(package, &origin));
        chosen.stack.python.iter().for_each(|module| selection.add_module(module, &origin));
        selection.unfree.extend(chosen.stack.unfree.iter().cloned());
    }
    for sprout in selection.sprouts.clone() {
        let origin = Origin::Sprout(sprout.name.clone());
        sprout.packages.iter().for_each(|package| selection.add(package, &origin));
        selection.unfree.extend(sprout.unfree.iter().cloned());
        selection.models.extend(sprout.model.iter().map(|model| (model.clone(), origin.clone())));
    }
    for attr in &contents.custom_packages {
        let package = StackPackage { attr: attr.clone(), program: None };
        selection.add(&package, &Origin::Package(attr.clone()));
    }
    if let Some(editor) = editor {
        let package = StackPackage { attr: editor.attr.clone(), program: None };
        selection.add(&package, &Origin::Editor(editor.name.clone()));
    }
    // A second interpreter would bring a second bin/python3, and which one wins is chance.
    if !selection.python.is_empty() {
        selection.packages.retain(|package| package.attr.as_str() != "python3");
    }
    Ok(selection)
}

fn because(profile: &Profile, sprouts: &[&Sprout], needed: &stacks::Needed) -> Because {
    let id = &needed.stack.id;
    match &needed.because {
        stacks::Because::Always => Because::Always,
        stacks::Because::Chosen if profile.contents.stacks.contains(id) => Because::Chosen,
        stacks::Because::Chosen => {
            let needing = sprouts.iter().filter(|sprout| sprout.stacks.contains(id));
            Because::NeededBy(needing.map(|sprout| Origin::Sprout(sprout.name.clone())).collect())
        }
        stacks::Because::NeededBy(others) => {
            Because::NeededBy(others.iter().cloned().map(Origin::Stack).collect())
        }
    }
}

impl Selection<'_> {
    /// Whether the stack is part of the profile.
    pub fn has(&self, id: &StackId) -> bool {
        self.stacks.iter().any(|chosen| chosen.stack.id == *id)
    }

    fn add(&mut self, package: &StackPackage, origin: &Origin) {
        // A module on its own cannot be imported: it belongs into the interpreter.
        if let Some(module) = package.attr.python_module().and_then(|module| module.parse().ok()) {
            return self.add_module(&module, origin);
        }
        match self.packages.iter_mut().find(|known| known.attr == package.attr) {
            Some(known) => {
                known.origins.push(origin.clone());
                known.program = known.program.take().or_else(|| package.program.clone());
            }
            None => self.packages.push(Selected {
                attr: package.attr.clone(),
                program: package.program.clone(),
                origins: vec![origin.clone()],
            }),
        }
    }

    fn add_module(&mut self, module: &PackageName, origin: &Origin) {
        match self.python.iter_mut().find(|known| known.module == *module) {
            Some(known) => known.origins.push(origin.clone()),
            None => {
                self.python.push(SelectedModule { module: module.clone(), origins: vec![origin.clone()] });
            }
        }
    }

    /// The interpreter with its modules, and who asked for them.
    pub(crate) fn interpreter(&self) -> Option<(Value, Vec<Origin>)> {
        if self.python.is_empty() {
            return None;
        }
        let modules = self
            .python
            .iter()
            .map(|selected| Value::expression(format!("python.{}", selected.module.selector())));
        let list = Value::Lambda("python", Box::new(Value::List(modules.collect())));
        let value = Value::Apply(vec![Value::expression("pkgs.python3.withPackages"), list]);
        let mut origins: Vec<Origin> = Vec::new();
        for origin in self.python.iter().flat_map(|selected| &selected.origins) {
            if !origins.contains(origin) {
                origins.push(origin.clone());
            }
        }
        Some((value, origins))
    }

    /// Whether a package's licence is allowed: a function for nixpkgs, given how it asks for a package's name.
    pub(crate) fn unfree_predicate(&self, name_of: &'static str) -> Option<Value> {
        if self.unfree.is_empty() {
            return None;
        }
        let names = Value::List(self.unfree.iter().map(Value::from).collect());
        let elem = vec![Value::expression("builtins.elem"), Value::expression(name_of), names];
        Some(Value::Lambda("package", Box::new(Value::Apply(elem))))
    }
}
