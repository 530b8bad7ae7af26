//! Evaluates expressions whose values are known before apply. All other expressions are unknown, and so is every
//! expression that depends on an unknown expression. Values are never guessed.

use std::collections::BTreeMap;

use hcl::Expression;
use hcl::expr::{BinaryOp, BinaryOperator, Conditional, ForExpr, FuncCall, ObjectKey, Operation};
use hcl::expr::{TemplateExpr, TraversalOperator, UnaryOperator};
use hcl::template::{Directive, Element, Template};

use super::functions;
use super::operators::{arithmetic, equal, number_of, unexpected};
use super::scope::{EvaluationScope, HclEvaluator};
use crate::doctor::value::TerraformValue;

impl HclEvaluator {
    pub(super) fn evaluate(&self, expression: &Expression, scope: &EvaluationScope) -> TerraformValue {
        match expression {
            Expression::Null => TerraformValue::Null,
            Expression::Bool(bool) => TerraformValue::Bool(*bool),
            Expression::Number(number) => number
                .as_f64()
                .map_or_else(|| TerraformValue::unknown("the number is too large"), TerraformValue::Number),
            Expression::String(text) => TerraformValue::text(text),
            Expression::Array(items) => {
                TerraformValue::List(items.iter().map(|e| self.evaluate(e, scope)).collect())
            }
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
                        (UnaryOperator::Neg, TerraformValue::Number(number)) => {
                            TerraformValue::Number(-number)
                        }
                        (UnaryOperator::Not, TerraformValue::Bool(bool)) => TerraformValue::Bool(!bool),
                        (_, unknown @ TerraformValue::Unknown(_)) => unknown,
                        (operator, other) => {
                            TerraformValue::unknown(format!("{operator}{other} is not possible"))
                        }
                    }
                }
                Operation::Binary(binary) => self.binary(binary, scope),
            },
            Expression::ForExpr(each) => self.for_expression(each, scope),
            _ => TerraformValue::unknown("an expression of this kind is not evaluated"),
        }
    }

    fn object<'a>(
        &self,
        entries: impl Iterator<Item = (&'a ObjectKey, &'a Expression)>,
        scope: &EvaluationScope,
    ) -> TerraformValue {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let key = match key {
                ObjectKey::Identifier(name) => Ok(name.to_string()),
                // In `{ name = 1 }`, the key is the text `name`. To use a variable as a key, a configuration puts it in
                // parentheses.
                ObjectKey::Expression(Expression::Variable(name)) => Ok(name.to_string()),
                ObjectKey::Expression(expression) => self.evaluate(expression, scope).to_text(),
                _ => return TerraformValue::unknown("the kind of a key in an object is not supported"),
            };
            match key {
                Ok(key) => map.insert(key, self.evaluate(value, scope)),
                Err(unknown) => return TerraformValue::Unknown(unknown),
            };
        }
        TerraformValue::Map(map)
    }

    fn template_expression(&self, expression: &TemplateExpr, scope: &EvaluationScope) -> TerraformValue {
        match Template::from_expr(expression) {
            Ok(template) => self.template(&template, scope),
            Err(error) => TerraformValue::unknown(format!("a template cannot be read: {error}")),
        }
    }

    fn template(&self, template: &Template, scope: &EvaluationScope) -> TerraformValue {
        // The template `"${value}"` evaluates to the value itself, not to its text.
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
                Err(unknown) => return TerraformValue::Unknown(unknown),
            }
        }
        TerraformValue::Text(text)
    }

    fn directive(&self, directive: &Directive, scope: &EvaluationScope) -> TerraformValue {
        match directive {
            Directive::If(condition) => match self.evaluate(&condition.cond_expr, scope) {
                TerraformValue::Bool(true) => self.template(&condition.true_template, scope),
                TerraformValue::Bool(false) => match &condition.false_template {
                    Some(template) => self.template(template, scope),
                    None => TerraformValue::text(""),
                },
                other => unexpected("a condition", other),
            },
            Directive::For(_) => TerraformValue::unknown("a `for` in a template is not evaluated"),
        }
    }

    fn conditional(&self, conditional: &Conditional, scope: &EvaluationScope) -> TerraformValue {
        match self.evaluate(&conditional.cond_expr, scope) {
            TerraformValue::Bool(true) => self.evaluate(&conditional.true_expr, scope),
            TerraformValue::Bool(false) => self.evaluate(&conditional.false_expr, scope),
            other => unexpected("a condition", other),
        }
    }

    fn binary(&self, binary: &BinaryOp, scope: &EvaluationScope) -> TerraformValue {
        let left = self.evaluate(&binary.lhs_expr, scope);
        match (binary.operator, &left) {
            (BinaryOperator::And, TerraformValue::Bool(false)) => return TerraformValue::Bool(false),
            (BinaryOperator::Or, TerraformValue::Bool(true)) => return TerraformValue::Bool(true),
            _ => {}
        }
        let right = self.evaluate(&binary.rhs_expr, scope);
        match binary.operator {
            BinaryOperator::Eq => equal(&left, &right),
            BinaryOperator::NotEq => match equal(&left, &right) {
                TerraformValue::Bool(bool) => TerraformValue::Bool(!bool),
                other => other,
            },
            operator => arithmetic(operator, left, right),
        }
    }

    fn for_expression(&self, each: &ForExpr, scope: &EvaluationScope) -> TerraformValue {
        let collection = match self.evaluate(&each.collection_expr, scope) {
            TerraformValue::List(items) => items
                .into_iter()
                .enumerate()
                .map(|(i, item)| (TerraformValue::Number(i as f64), item))
                .collect(),
            TerraformValue::Map(map) => {
                map.into_iter().map(|(key, item)| (TerraformValue::Text(key), item)).collect::<Vec<_>>()
            }
            other => return unexpected("the collection of a `for` expression", other),
        };
        let (mut list, mut map) = (Vec::new(), BTreeMap::<String, TerraformValue>::new());
        for (key, item) in collection {
            let mut scope = scope.with(each.value_var.as_str(), item);
            if let Some(name) = &each.key_var {
                scope = scope.with(name.as_str(), key);
            }
            match each.cond_expr.as_ref().map(|condition| self.evaluate(condition, &scope)) {
                None | Some(TerraformValue::Bool(true)) => {}
                Some(TerraformValue::Bool(false)) => continue,
                Some(other) => return unexpected("the `if` of a `for`", other),
            }
            let value = self.evaluate(&each.value_expr, &scope);
            match each.key_expr.as_ref().map(|key| self.evaluate(key, &scope).to_text()) {
                None => list.push(value),
                Some(Ok(key)) if each.grouping => {
                    if let TerraformValue::List(group) =
                        map.entry(key).or_insert_with(|| TerraformValue::List(Vec::new()))
                    {
                        group.push(value);
                    }
                }
                Some(Ok(key)) => {
                    map.insert(key, value);
                }
                Some(Err(unknown)) => return TerraformValue::Unknown(unknown),
            }
        }
        if each.key_expr.is_some() { TerraformValue::Map(map) } else { TerraformValue::List(list) }
    }

    fn call(&self, call: &FuncCall, scope: &EvaluationScope) -> TerraformValue {
        let mut arguments: Vec<_> = call.args.iter().map(|argument| self.evaluate(argument, scope)).collect();
        if call.expand_final {
            match arguments.pop() {
                Some(TerraformValue::List(items)) => arguments.extend(items),
                Some(other) => return unexpected("the expanded last argument of a function", other),
                None => {}
            }
        }
        functions::call(call.name.name.as_str(), arguments)
    }

    /// Evaluates the attributes and indexes after an expression, as in `a.b[0]`.
    pub(super) fn traverse(
        &self,
        start: TerraformValue,
        operators: &[TraversalOperator],
        scope: &EvaluationScope,
    ) -> TerraformValue {
        let mut value = start;
        for (at, operator) in operators.iter().enumerate() {
            value = match operator {
                TraversalOperator::GetAttr(name) => self.attribute_of(value, name.as_str()),
                TraversalOperator::LegacyIndex(index) => {
                    self.element_of(value, &TerraformValue::Number(*index as f64))
                }
                TraversalOperator::Index(index) => {
                    let index = self.evaluate(index, scope);
                    self.element_of(value, &index)
                }
                TraversalOperator::AttrSplat | TraversalOperator::FullSplat => {
                    let rest = &operators[at + 1..];
                    let items = match value {
                        TerraformValue::List(items) => items,
                        TerraformValue::Null => Vec::new(),
                        unknown @ TerraformValue::Unknown(_) => return unknown,
                        single => vec![single],
                    };
                    return TerraformValue::List(
                        items.into_iter().map(|i| self.traverse(i, rest, scope)).collect(),
                    );
                }
            };
        }
        value
    }

    fn attribute_of(&self, value: TerraformValue, name: &str) -> TerraformValue {
        match value {
            TerraformValue::Map(mut map) => map.remove(name).unwrap_or_else(|| TerraformValue::missing(name)),
            TerraformValue::Resource(address) => self.resource_attribute(&address, name),
            TerraformValue::Module(address) => self.module_output(&address, name),
            unknown @ TerraformValue::Unknown(_) => unknown,
            other => TerraformValue::unknown(format!("{other} has no {name}")),
        }
    }

    fn element_of(&self, value: TerraformValue, index: &TerraformValue) -> TerraformValue {
        match (value, index) {
            (TerraformValue::List(items), TerraformValue::Number(index)) if *index >= 0.0 => items
                .into_iter()
                .nth(*index as usize)
                .unwrap_or_else(|| TerraformValue::missing(&format!("[{index}]"))),
            (value, TerraformValue::Text(name)) => self.attribute_of(value, name),
            (unknown @ TerraformValue::Unknown(_), _) => unknown,
            (_, unknown @ TerraformValue::Unknown(_)) => unknown.clone(),
            (value, index) => TerraformValue::unknown(format!("{value} has no [{index}]")),
        }
    }
}
