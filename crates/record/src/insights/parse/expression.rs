//! Expressions: `or`, `and`, `not`, comparisons, sums, products, powers, in this order.

use crate::insights::aggregate::Kind;
use crate::insights::function::Function;
use crate::insights::period::Period;
use crate::insights::syntax::{Arithmetic, Comparing, Expression, Matcher};
use crate::insights::token::{Token, Tokens};
use crate::insights::value::Value;
use crate::insights::{QUERY_DEPTH, QUERY_OPERATIONS, QueryError};

/// Reads an expression.
pub fn read(tokens: &mut Tokens<'_>) -> Result<Expression, QueryError> {
    Reader { tokens, in_aggregate: false, depth: 0, operations: 0 }.any()
}

struct Reader<'t, 'a> {
    tokens: &'t mut Tokens<'a>,
    in_aggregate: bool,
    depth: usize,
    operations: usize,
}

impl Reader<'_, '_> {
    fn deeper(&mut self) -> Result<(), QueryError> {
        self.depth += 1;
        match self.depth > QUERY_DEPTH {
            true => Err(self.tokens.unexpected(&format!("more than {QUERY_DEPTH} nested expressions"))),
            false => Ok(()),
        }
    }

    fn any(&mut self) -> Result<Expression, QueryError> {
        self.deeper()?;
        let mut parts = vec![self.all()?];
        while self.tokens.eat_word("or")? {
            parts.push(self.all()?);
        }
        self.depth -= 1;
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) })
    }

    fn all(&mut self) -> Result<Expression, QueryError> {
        let mut parts = vec![self.not()?];
        while self.tokens.eat_word("and")? {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) })
    }

    fn not(&mut self) -> Result<Expression, QueryError> {
        let mut negated = false;
        while self.tokens.eat_word("not")? {
            negated = !negated;
        }
        let inner = self.comparison()?;
        Ok(if negated { Expression::Not(Box::new(inner)) } else { inner })
    }

    fn comparison(&mut self) -> Result<Expression, QueryError> {
        let left = self.sum()?;
        let signs = [
            ("=", Comparing::Equal),
            ("!=", Comparing::NotEqual),
            ("<", Comparing::Less),
            ("<=", Comparing::LessOrEqual),
            (">", Comparing::Greater),
            (">=", Comparing::GreaterOrEqual),
        ];
        for (sign, comparing) in signs {
            if self.tokens.eat(sign)? {
                return Ok(Expression::Compare(comparing, Box::new(left), Box::new(self.sum()?)));
            }
        }
        if self.tokens.eat("=~")? {
            return self.like(left, false);
        }
        let negated = self.tokens.eat_word("not")?;
        if self.tokens.eat_word("like")? {
            self.like(left, negated)
        } else if self.tokens.eat_word("in")? {
            self.tokens.expect("[")?;
            let list = self.list("]")?;
            Ok(Expression::In { value: Box::new(left), list, negated })
        } else if negated {
            Err(self.tokens.unexpected("like or in is expected"))
        } else {
            Ok(left)
        }
    }

    fn like(&mut self, value: Expression, negated: bool) -> Result<Expression, QueryError> {
        let value = Box::new(value);
        let start = self.tokens.start();
        let matcher = match self.tokens.regex()? {
            Some(text) => Matcher::Regex(super::regex(self.tokens, start, &text)?),
            None => match self.tokens.peek() {
                Token::Text(_) => match self.tokens.next()? {
                    Token::Text(text) => Matcher::Text(text),
                    _ => return Err(self.tokens.unexpected("a text is expected")),
                },
                _ => return Err(self.tokens.unexpected("a text or a /regular expression/ is expected")),
            },
        };
        Ok(Expression::Like { value, matcher, negated })
    }

    fn sum(&mut self) -> Result<Expression, QueryError> {
        let signs = [("+", Arithmetic::Add), ("-", Arithmetic::Subtract)];
        let mut left = self.product()?;
        while let Some(arithmetic) = self.sign(&signs)? {
            left = Expression::Arithmetic(arithmetic, Box::new(left), Box::new(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Expression, QueryError> {
        let signs = [("*", Arithmetic::Multiply), ("/", Arithmetic::Divide), ("%", Arithmetic::Remainder)];
        let mut left = self.power()?;
        while let Some(arithmetic) = self.sign(&signs)? {
            left = Expression::Arithmetic(arithmetic, Box::new(left), Box::new(self.power()?));
        }
        Ok(left)
    }

    fn power(&mut self) -> Result<Expression, QueryError> {
        let left = self.one()?;
        if !self.tokens.eat("^")? {
            return Ok(left);
        }
        self.deeper()?;
        let right = self.power()?;
        self.depth -= 1;
        Ok(Expression::Arithmetic(Arithmetic::Power, Box::new(left), Box::new(right)))
    }

    fn sign(&mut self, signs: &[(&str, Arithmetic)]) -> Result<Option<Arithmetic>, QueryError> {
        for (sign, arithmetic) in signs {
            if self.tokens.eat(sign)? {
                // Each makes the tree one deeper on its left.
                self.operations += 1;
                if self.operations > QUERY_OPERATIONS {
                    let why = format!("more than {QUERY_OPERATIONS} operations in an expression");
                    return Err(self.tokens.unexpected(&why));
                }
                return Ok(Some(*arithmetic));
            }
        }
        Ok(None)
    }

    fn one(&mut self) -> Result<Expression, QueryError> {
        if self.tokens.eat("(")? {
            let inner = self.any()?;
            self.tokens.expect(")")?;
            return Ok(inner);
        }
        let mut negative = false;
        while self.tokens.eat("-")? {
            negative = !negative;
        }
        if negative {
            return Ok(Expression::Negative(Box::new(self.one()?)));
        }
        let start = self.tokens.start();
        match self.tokens.peek() {
            Token::Number(_) | Token::Text(_) | Token::Word(_) | Token::Field(_) => {}
            _ => return Err(self.tokens.unexpected("a value is expected")),
        }
        Ok(match self.tokens.next()? {
            Token::Number(number) => Expression::Value(Value::Number(number)),
            Token::Text(text) => Expression::Value(Value::text(text)),
            Token::Word(name) if self.tokens.eat("(")? => return self.call(&name, start),
            Token::Word(name) if name.eq_ignore_ascii_case("true") => Expression::Value(Value::Truth(true)),
            Token::Word(name) if name.eq_ignore_ascii_case("false") => Expression::Value(Value::Truth(false)),
            Token::Word(name) | Token::Field(name) => Expression::Field(name),
            _ => return Err(self.tokens.wrong(start, "a value is expected")),
        })
    }

    /// What is in the parentheses of a function, whose name began at `start`.
    fn call(&mut self, name: &str, start: usize) -> Result<Expression, QueryError> {
        match name.to_ascii_lowercase().as_str() {
            "bin" => {
                let value = Box::new(Expression::Field("@timestamp".into()));
                let period = self.period()?;
                return Ok(Expression::Bin { value, period, up: false });
            }
            rounding @ ("datefloor" | "dateceil") => {
                let value = Box::new(self.any()?);
                self.tokens.expect(",")?;
                let period = self.period()?;
                return Ok(Expression::Bin { value, period, up: rounding == "dateceil" });
            }
            _ => {}
        }
        if let Some(kind) = Kind::find(name) {
            if self.in_aggregate {
                return Err(self.tokens.wrong(start, format!("{name} cannot be inside such a function")));
            }
            return self.aggregate(kind, start);
        }
        let Some(function) = Function::find(name) else {
            return Err(self.tokens.wrong(start, format!("Samovar does not implement the function {name}")));
        };
        let arguments = self.list(")")?;
        match function.takes(arguments.len()) {
            true => Ok(Expression::Call(function, arguments)),
            false => {
                Err(self.tokens.wrong(start, format!("{name} does not take {} arguments", arguments.len())))
            }
        }
    }

    fn aggregate(&mut self, kind: Kind, start: usize) -> Result<Expression, QueryError> {
        let all = match kind {
            Kind::Count => self.tokens.eat("*")? || *self.tokens.peek() == Token::Sign(")"),
            _ => false,
        };
        self.in_aggregate = true;
        let argument = if all { None } else { Some(Box::new(self.any()?)) };
        self.in_aggregate = false;
        let kind = match kind {
            Kind::Percentile(0.0) => {
                self.tokens.expect(",")?;
                match *self.tokens.peek() {
                    Token::Number(percent) if (0.0..=100.0).contains(&percent) => {
                        self.tokens.next()?;
                        Kind::Percentile(percent / 100.0)
                    }
                    _ => return Err(self.tokens.unexpected("a number from 0 to 100 is expected")),
                }
            }
            kind => kind,
        };
        self.tokens.expect(")")?;
        let text = normal(self.tokens.since(start));
        Ok(Expression::Aggregate { kind, argument, text })
    }

    /// A period and the closing parenthesis.
    fn period(&mut self) -> Result<Period, QueryError> {
        let period = match self.tokens.peek() {
            Token::Period(number, unit) => Period::new(*number, unit),
            _ => None,
        };
        let Some(period) = period else {
            return Err(self.tokens.unexpected("a period such as 5m or 1h is expected"));
        };
        self.tokens.next()?;
        self.tokens.expect(")")?;
        Ok(period)
    }

    fn list(&mut self, closing: &str) -> Result<Vec<Expression>, QueryError> {
        let mut list = Vec::new();
        if self.tokens.eat(closing)? {
            return Ok(list);
        }
        loop {
            list.push(self.any()?);
            if !self.tokens.eat(",")? {
                self.tokens.expect(closing)?;
                return Ok(list);
            }
        }
    }
}

/// A text by which two ways of writing one call are the same.
pub fn normal(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase()
}
