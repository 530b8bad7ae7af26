//! Expressions, as far as they can be told before anything is applied. What cannot be told is unknown, and so is whatever
//! is made of it; nothing is guessed.

use std::collections::BTreeMap;
use std::rc::Rc;

use hcl::Expression;
use hcl::expr::{BinaryOp, BinaryOperator, Conditional, ForExpr, FuncCall, ObjectKey, Operation};
use hcl::expr::{TemplateExpr, TraversalOperator, UnaryOperator};
use hcl::template::{Directive, Element, Template};

use super::functions;
use super::names::{Evaluator, Instance};
use super::operators::{arithmetic, equal, not_told, number_of};
use crate::doctor::value::Value;

/// Names that an expression can use besides those of its module: `each`, `count` and what `for` binds.
pub(super) type Bindings = BTreeMap<String, Value>;

/// Where an expression stands.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) instance: Rc<Instance>,
    pub(super) bindings: Bindings,
}

impl Scope {
    pub(super) fn with(&self, name: &str, value: Value) -> Self {
        let mut scope = self.clone();
        scope.bindings.insert(name.to_owned(), value);
        scope
    }
}

impl Evaluator {
    pub(super) fn evaluate(&self, expression: &Expression, scope: &Scope) -> Value {
        match expression {
            Expression::Null => Value::Null,
            Expression::Bool(bool) => Value::Bool(*bool),
            Expression::Number(number) => {
                number.as_f64().map_or_else(|| Value::unknown("the number is too large"), Value::Number)
            }
            Expression::String(text) => Value::text(text),
            Expression::Array(items) => Value::List(items.iter().map(|e| self.evaluate(e, scope)).collect()),
            Expression::Object(object) => self.object(object.iter(), scope),
            Expression::TemplateExpr(template) => self.template_expression(template, scope),
            Expression::Variable(variable) => self.name(variable.as_str(), &mut [].iter(), scope),
            Expression::Traversal(traversal) => {
                let mut operators = traversal.operators.iter();
                let start = match &traversal.expr {
                    Expression::Variable(variable) => self.name(variable.as_str(), &mut operators, scope),
                    other => self.evaluate(other, scope),
                };
                self.traverse(start, operators.as_slice(), scope)
            }
            Expression::FuncCall(call) => self.call(call, scope),
            Expression::Parenthesis(inner) => self.evaluate(inner, scope),
            Expression::Conditional(conditional) => self.conditional(conditional, scope),
            Expression::Operation(operation) => match operation.as_ref() {
                Operation::Unary(unary) => {
                    match (unary.operator, number_of(self.evaluate(&unary.expr, scope))) {
                        (UnaryOperator::Neg, Value::Number(number)) => Value::Number(-number),
                        (UnaryOperator::Not, Value::Bool(bool)) => Value::Bool(!bool),
                        (_, unknown @ Value::Unknown(_)) => unknown,
                        (operator, other) => Value::unknown(format!("{operator}{other} makes no sense")),
                    }
                }
                Operation::Binary(binary) => self.binary(binary, scope),
            },
            Expression::ForExpr(each) => self.for_expression(each, scope),
            _ => Value::unknown("an expression of this kind is not evaluated"),
        }
    }

    fn object<'a>(
        &self,
        entries: impl Iterator<Item = (&'a ObjectKey, &'a Expression)>,
        scope: &Scope,
    ) -> Value {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let key = match key {
                ObjectKey::Identifier(name) => Ok(name.to_string()),
                // A key in parentheses is an expression; a plain name in the place of one is that name.
                ObjectKey::Expression(Expression::Variable(name)) => Ok(name.to_string()),
                ObjectKey::Expression(expression) => self.evaluate(expression, scope).to_text(),
                _ => return Value::unknown("an object has a key of an unknown kind"),
            };
            match key {
                Ok(key) => map.insert(key, self.evaluate(value, scope)),
                Err(unknown) => return Value::Unknown(unknown),
            };
        }
        Value::Map(map)
    }

    fn template_expression(&self, expression: &TemplateExpr, scope: &Scope) -> Value {
        match Template::from_expr(expression) {
            Ok(template) => self.template(&template, scope),
            Err(error) => Value::unknown(format!("a template cannot be read: {error}")),
        }
    }

    fn template(&self, template: &Template, scope: &Scope) -> Value {
        // `"${value}"` is the value itself.
        if let [Element::Interpolation(only)] = template.elements() {
            return self.evaluate(&only.expr, scope);
        }
        let mut text = String::new();
        for element in template.elements() {
            let part = match element {
                Element::Literal(literal) => Ok(literal.clone()),
                Element::Interpolation(inner) => self.evaluate(&inner.expr, scope).to_text(),
                Element::Directive(directive) => self.directive(directive, scope).to_text(),
            };
            match part {
                Ok(part) => text.push_str(&part),
                Err(unknown) => return Value::Unknown(unknown),
            }
        }
        Value::Text(text)
    }

    fn directive(&self, directive: &Directive, scope: &Scope) -> Value {
        match directive {
            Directive::If(condition) => match self.evaluate(&condition.cond_expr, scope) {
                Value::Bool(true) => self.template(&condition.true_template, scope),
                Value::Bool(false) => match &condition.false_template {
                    Some(template) => self.template(template, scope),
                    None => Value::text(""),
                },
                other => not_told("a condition", other),
            },
            Directive::For(_) => Value::unknown("a `for` in a template is not evaluated"),
        }
    }

    fn conditional(&self, conditional: &Conditional, scope: &Scope) -> Value {
        match self.evaluate(&conditional.cond_expr, scope) {
            Value::Bool(true) => self.evaluate(&conditional.true_expr, scope),
            Value::Bool(false) => self.evaluate(&conditional.false_expr, scope),
            other => not_told("a condition", other),
        }
    }

    fn binary(&self, binary: &BinaryOp, scope: &Scope) -> Value {
        let left = self.evaluate(&binary.lhs_expr, scope);
        match (binary.operator, &left) {
            (BinaryOperator::And, Value::Bool(false)) => return Value::Bool(false),
            (BinaryOperator::Or, Value::Bool(true)) => return Value::Bool(true),
            _ => {}
        }
        let right = self.evaluate(&binary.rhs_expr, scope);
        match binary.operator {
            BinaryOperator::Eq => equal(&left, &right),
            BinaryOperator::NotEq => match equal(&left, &right) {
                Value::Bool(bool) => Value::Bool(!bool),
                other => other,
            },
            operator => arithmetic(operator, left, right),
        }
    }

    fn for_expression(&self, each: &ForExpr, scope: &Scope) -> Value {
        let collection = match self.evaluate(&each.collection_expr, scope) {
            Value::List(items) => {
                items.into_iter().enumerate().map(|(i, item)| (Value::Number(i as f64), item)).collect()
            }
            Value::Map(map) => {
                map.into_iter().map(|(key, item)| (Value::Text(key), item)).collect::<Vec<_>>()
            }
            other => return not_told("what `for` goes through", other),
        };
        let (mut list, mut map) = (Vec::new(), BTreeMap::<String, Value>::new());
        for (key, item) in collection {
            let mut scope = scope.with(each.value_var.as_str(), item);
            if let Some(name) = &each.key_var {
                scope = scope.with(name.as_str(), key);
            }
            match each.cond_expr.as_ref().map(|condition| self.evaluate(condition, &scope)) {
                None | Some(Value::Bool(true)) => {}
                Some(Value::Bool(false)) => continue,
                Some(other) => return not_told("the `if` of a `for`", other),
            }
            let value = self.evaluate(&each.value_expr, &scope);
            match each.key_expr.as_ref().map(|key| self.evaluate(key, &scope).to_text()) {
                None => list.push(value),
                Some(Ok(key)) if each.grouping => {
                    if let Value::List(group) = map.entry(key).or_insert_with(|| Value::List(Vec::new())) {
                        group.push(value);
                    }
                }
                Some(Ok(key)) => {
                    map.insert(key, value);
                }
                Some(Err(unknown)) => return Value::Unknown(unknown),
            }
        }
        if each.key_expr.is_some() { Value::Map(map) } else { Value::List(list) }
    }

    fn call(&self, call: &FuncCall, scope: &Scope) -> Value {
        let mut arguments: Vec<_> = call.args.iter().map(|argument| self.evaluate(argument, scope)).collect();
        if call.expand_final {
            match arguments.pop() {
                Some(Value::List(items)) => arguments.extend(items),
                Some(other) => return not_told("the last arguments of a function", other),
                None => {}
            }
        }
        functions::call(call.name.name.as_str(), arguments)
    }

    /// Follows attributes and indexes.
    pub(super) fn traverse(&self, start: Value, operators: &[TraversalOperator], scope: &Scope) -> Value {
        let mut value = start;
        for (at, operator) in operators.iter().enumerate() {
            value = match operator {
                TraversalOperator::GetAttr(name) => self.attribute_of(value, name.as_str()),
                TraversalOperator::LegacyIndex(index) => {
                    self.element_of(value, &Value::Number(*index as f64))
                }
                TraversalOperator::Index(index) => {
                    let index = self.evaluate(index, scope);
                    self.element_of(value, &index)
                }
                TraversalOperator::AttrSplat | TraversalOperator::FullSplat => {
                    let rest = &operators[at + 1..];
                    let items = match value {
                        Value::List(items) => items,
                        Value::Null => Vec::new(),
                        unknown @ Value::Unknown(_) => return unknown,
                        single => vec![single],
                    };
                    return Value::List(items.into_iter().map(|i| self.traverse(i, rest, scope)).collect());
                }
            };
        }
        value
    }

    fn attribute_of(&self, value: Value, name: &str) -> Value {
        match value {
            Value::Map(mut map) => {
                map.remove(name).unwrap_or_else(|| Value::unknown(format!("there is no {name}")))
            }
            Value::Resource(address) => self.resource_attribute(&address, name),
            Value::Module(address) => self.module_output(&address, name),
            unknown @ Value::Unknown(_) => unknown,
            other => Value::unknown(format!("{other} has no {name}")),
        }
    }

    fn element_of(&self, value: Value, index: &Value) -> Value {
        match (value, index) {
            (Value::List(items), Value::Number(index)) if *index >= 0.0 => items
                .into_iter()
                .nth(*index as usize)
                .unwrap_or_else(|| Value::unknown(format!("there is no [{index}]"))),
            (value, Value::Text(name)) => self.attribute_of(value, name),
            (unknown @ Value::Unknown(_), _) => unknown,
            (_, unknown @ Value::Unknown(_)) => unknown.clone(),
            (value, index) => Value::unknown(format!("{value} has no [{index}]")),
        }
    }
}
