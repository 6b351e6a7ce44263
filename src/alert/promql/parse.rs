//! Parses expressions.

use super::expr::{Aggregation, Expr, Matcher, Matching, Operator, OverTime, Selector};
use super::token::{Token, tokens};

/// Parses an expression, or says what it does not know.
pub(in crate::alert) fn parse(text: &str) -> Result<Expr, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let expr = parser.binary(0)?;
    match parser.peek() {
        None => Ok(expr),
        Some(token) => Err(format!("{token:?} is too much")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.tokens.get(self.at).cloned().ok_or("the expression ends too early")?;
        self.at += 1;
        Ok(token)
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_there = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(is_there);
        is_there
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let is_there = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(format!("{sign} is missing before {:?}", self.peek())) }
    }

    /// Operators of at least this rank, the left ones first.
    fn binary(&mut self, rank: u8) -> Result<Expr, String> {
        let mut left = self.unary()?;
        while let Some(operator) = self.operator().filter(|operator| operator.rank() > rank) {
            self.at += 1;
            let matching = if self.takes_word("on") { Matching::On(self.names()?) } else { Matching::All };
            // Of two powers the right one comes first.
            let right = self.binary(operator.rank() - u8::from(operator == Operator::Power))?;
            left = Expr::Binary(operator, Box::new(left), Box::new(right), matching);
        }
        Ok(left)
    }

    fn operator(&self) -> Option<Operator> {
        Some(match self.peek()? {
            Token::Word(word) => match word.as_str() {
                "or" => Operator::Or,
                "and" => Operator::And,
                "unless" => Operator::Unless,
                _ => return None,
            },
            Token::Sign(sign) => match *sign {
                "==" => Operator::Equal,
                ">" => Operator::Greater,
                ">=" => Operator::GreaterOrEqual,
                "<" => Operator::Less,
                "<=" => Operator::LessOrEqual,
                "-" => Operator::Subtract,
                "*" => Operator::Multiply,
                "/" => Operator::Divide,
                "^" => Operator::Power,
                _ => return None,
            },
            _ => return None,
        })
    }

    fn unary(&mut self) -> Result<Expr, String> {
        match self.next()? {
            Token::Number(number) => Ok(Expr::Number(number)),
            Token::Sign("(") => {
                let inner = self.binary(0)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Word(word) => self.word(&word),
            token => Err(format!("{token:?} begins no expression")),
        }
    }

    fn word(&mut self, word: &str) -> Result<Expr, String> {
        let over_time = match word {
            "rate" => Some(OverTime::Rate),
            "increase" => Some(OverTime::Increase),
            "avg_over_time" => Some(OverTime::Avg),
            "max_over_time" => Some(OverTime::Max),
            "count_over_time" => Some(OverTime::Count),
            _ => None,
        };
        if let Some(function) = over_time {
            return self.over_time(function);
        }
        let aggregation = match word {
            "sum" => Some(Aggregation::Sum),
            "max" => Some(Aggregation::Max),
            "avg" => Some(Aggregation::Avg),
            "count" => Some(Aggregation::Count),
            _ => None,
        };
        if let Some(aggregation) = aggregation {
            return self.aggregate(aggregation);
        }
        match word {
            "time" => {
                self.expect("(")?;
                self.expect(")")?;
                Ok(Expr::Time)
            }
            "histogram_quantile" => {
                self.expect("(")?;
                let Token::Number(quantile) = self.next()? else { return Err("a quantile is no number".to_owned()) };
                self.expect(",")?;
                let inner = self.binary(0)?;
                self.expect(")")?;
                Ok(Expr::Quantile(quantile, Box::new(inner)))
            }
            metric => {
                let selector = self.selector(metric)?;
                if self.takes("(") {
                    return Err(format!("the function {metric} is not known"));
                }
                Ok(Expr::Latest(selector))
            }
        }
    }

    fn over_time(&mut self, function: OverTime) -> Result<Expr, String> {
        self.expect("(")?;
        let Token::Word(metric) = self.next()? else { return Err("a window is of a metric".to_owned()) };
        let selector = self.selector(&metric)?;
        let Token::Window(window) = self.next()? else { return Err(format!("{metric} has no window")) };
        self.expect(")")?;
        Ok(Expr::Window(function, selector, window))
    }

    fn aggregate(&mut self, aggregation: Aggregation) -> Result<Expr, String> {
        let by = if self.takes_word("by") { self.names()? } else { Vec::new() };
        self.expect("(")?;
        let inner = self.binary(0)?;
        self.expect(")")?;
        Ok(Expr::Aggregate(aggregation, by, Box::new(inner)))
    }

    fn names(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut names = Vec::new();
        while !self.takes(")") {
            let Token::Word(name) = self.next()? else { return Err("a label has no name".to_owned()) };
            names.push(name);
            self.takes(",");
        }
        Ok(names)
    }

    fn selector(&mut self, metric: &str) -> Result<Selector, String> {
        let mut matchers = Vec::new();
        if self.takes("{") {
            while !self.takes("}") {
                matchers.push(self.matcher()?);
                self.takes(",");
            }
        }
        Ok(Selector { metric: metric.to_owned(), matchers })
    }

    fn matcher(&mut self) -> Result<Matcher, String> {
        let Token::Word(name) = self.next()? else { return Err("a label has no name".to_owned()) };
        let Token::Sign(sign) = self.next()? else { return Err(format!("{name} is not compared")) };
        let Token::Text(value) = self.next()? else { return Err(format!("{name} is compared with no string")) };
        let (values, is_one_of_them) = match sign {
            "=" => (vec![value], true),
            "!=" => (vec![value], false),
            "=~" => {
                let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '|' | '-');
                if !value.chars().all(is_plain) {
                    return Err(format!("{value} is more than alternatives"));
                }
                (value.split('|').map(str::to_owned).collect(), true)
            }
            other => return Err(format!("{other} is not known")),
        };
        Ok(Matcher { name, values, is_one_of_them })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_bind_as_in_prometheus() {
        let parsed = |text: &str| parse(text).expect(text);
        for (text, same) in [
            ("a / b > 1 and c or d", "((((a / b) > 1) and c) or d)"),
            ("a - b - c", "(a - b) - c"),
            ("a > 0.5 * b", "a > (0.5 * b)"),
            ("a * b ^ 2 ^ c", "a * (b ^ (2 ^ c))"),
            ("a or b and c", "a or (b and c)"),
        ] {
            assert_eq!(parsed(text), parsed(same), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in
            ["a{b=~\"c.*\"}", "deriv(a[5m])", "a offset 5m", "a[5m]", "sum without (b) (a)", "a +", "a{b=\"c", "a % 2"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
