use super::*;

/// A ledger in one region that is told what happens, and what it answers.
struct Books {
    ledger: Ledger,
    shares: HashMap<FunctionName, Shares>,
}

impl Books {
    fn new(limit: u32) -> Self {
        Self { ledger: Ledger::new(Concurrency(limit)), shares: HashMap::new() }
    }

    /// Does one thing: `f=2` reserves, `f=` gives up, `f:1=2` provisions for version 1, `f:1=` gives up, `f+` and
    /// `f:1+` begin to run, `f-` and `f:1-` end. Answers what a refusal says.
    fn step(&mut self, step: &str) -> Option<String> {
        let at = step.find(['=', '+', '-']).expect("an action");
        let (who, action) = step.split_at(at);
        let (name, version) = who.split_once(':').map_or((who, None), |(name, number)| (name, Some(number)));
        let function = key(name);
        let number: Option<u64> = version.map(|number| number.parse().expect("a number"));
        let version = number.map_or(Qualifier::Latest, Qualifier::Version);
        match action.split_at(1) {
            ("+", _) => return self.ledger.admit(&function, &version).err().map(|error| error.to_string()),
            ("-", _) => self.ledger.release(&function, &version),
            (_, amount) => {
                let amount = amount.parse().ok().map(Concurrency);
                let shares = self.shares.entry(function.name.clone()).or_default();
                match (number, amount) {
                    (None, amount) => shares.reserved = amount,
                    (Some(number), Some(amount)) => drop(shares.provisioned.insert(number, amount)),
                    (Some(number), None) => drop(shares.provisioned.remove(&number)),
                }
                self.ledger.allot(&function, shares.clone());
            }
        }
        None
    }

    /// Does everything and answers all refusals, each with the step that met it.
    fn refusals(&mut self, steps: &str) -> String {
        let refused = |step: &str| Some(format!("{step} {}", self.step(step)?));
        steps.split_whitespace().filter_map(refused).collect::<Vec<_>>().join("; ")
    }
}

fn scope(region: &str) -> Scope {
    Scope { account: "000000000000".parse().expect("account"), region: region.parse().expect("region") }
}

fn key(name: &str) -> FunctionKey {
    FunctionKey::new(scope("us-east-1"), name.parse().expect("name"))
}

#[track_caller]
fn check(limit: u32, steps: &str, refusals: &str) {
    let mut books = Books::new(limit);
    let refused = books.refusals(steps);
    let short = refused
        .replace("the account's concurrency of ", "account ")
        .replace("reserved concurrency of ", "reserved ")
        .replace(" is in use", "");
    assert_eq!(short, refusals, "{steps}");
}

#[test]
fn functions_without_anything_of_their_own_share_the_account() {
    check(2, "f+ g+ f+ f- g+", "f+ account 2");
}

#[test]
fn a_function_runs_no_more_than_its_reservation() {
    check(10, "f=2 f+ f+ f+ f- f+ f+", "f+ reserved 2; f+ reserved 2");
    check(10, "f=2 f:1+ f+ f:1+", "f:1+ reserved 2");
}

#[test]
fn a_reservation_of_zero_stops_a_function_until_it_is_given_up() {
    check(10, "f=0 f+ f:1+ f= f+", "f+ reserved 0; f:1+ reserved 0");
}

#[test]
fn others_cannot_use_what_is_reserved() {
    check(5, "f=3 g+ g+ g+ f+ f+ f+ f+", "g+ account 5; f+ reserved 3");
    check(5, "f=3 g+ g+ f= g+", "");
}

#[test]
fn what_is_provisioned_is_for_its_version_and_the_rest_is_shared() {
    check(4, "f:1=2 g+ g+ g+ f:1+ f:1+ f:1+ f+", "g+ account 4; f:1+ account 4; f+ account 4");
    check(4, "f:1=2 f:1+ f:1+ f:1+ f:1+ f:1+ f:1- f:1+", "f:1+ account 4");
}

#[test]
fn with_all_of_a_reservation_provisioned_nothing_is_left_for_other_versions() {
    check(10, "f=1 f:1=1 f+ f:2+ f:1+ f:1+", "f+ reserved 1; f:2+ reserved 1; f:1+ reserved 1");
    check(10, "f=3 f:1=1 f+ f+ f+ f:1+ f:1+", "f+ reserved 3; f:1+ reserved 3");
    check(10, "f=3 f:1=1 f:1+ f:1+ f:1+ f+", "f+ reserved 3");
}

#[test]
fn what_already_runs_counts_when_shares_change() {
    // It fills a reservation that is made afterwards,
    check(10, "f+ f+ f=2 f+ f- f+", "f+ reserved 2");
    // also beyond it, where it still takes from what others share.
    check(4, "f+ f+ f+ f=1 g+ g+ f- f- f- g+ g+ f+ f+", "g+ account 4; f+ reserved 1");
    // A limit is a limit although somebody has a share of his own.
    check(3, "g+ g+ g+ f=1 f+ g- f+", "f+ account 3");
    check(3, "f:1+ f:1+ f:1=2 g+ g+", "g+ account 3");
    check(3, "f:1=2 f:1+ f:1+ f:1= g+ g+", "g+ account 3");
}

#[test]
fn an_account_is_limited_in_each_region_on_its_own() {
    let mut ledger = Ledger::new(Concurrency(1));
    let there = FunctionKey::new(scope("eu-west-1"), key("f").name);
    assert_eq!(ledger.admit(&key("f"), &Qualifier::Latest), Ok(()));
    assert_eq!(ledger.admit(&there, &Qualifier::Latest), Ok(()));
    assert_eq!(ledger.in_use(&scope("us-east-1")), Concurrency(1));
    assert!(ledger.admit(&there, &Qualifier::Latest).is_err());
}

#[test]
fn what_is_told_of_all_functions_replaces_what_was_known() {
    let mut books = Books::new(3);
    books.refusals("f=1 g=1 h+");
    let reserved = Shares { reserved: Some(Concurrency(2)), ..Shares::default() };
    books.ledger.allot_all([(key("h"), reserved)]);
    assert_eq!(books.refusals("h+ f+ g+"), "g+ the account's concurrency of 3 is in use");
}

#[test]
fn who_runs_nothing_and_has_nothing_leaves_no_trace() {
    let mut books = Books::new(2);
    books.refusals("f=0 f+ f= f+ f- f- g:1=1 g:1+ g:1= g:1- h-");
    assert!(books.ledger.accounts.is_empty(), "{:?}", books.ledger);
}

#[test]
fn sums_stay_what_the_entries_add_up_to() {
    let dice = base::random::Dice::seeded(11);
    let mut books = Books::new(12);
    let mut running: Vec<String> = Vec::new();
    for _ in 0..20_000 {
        let [who, what, amount] = dice.bytes::<3>();
        let name = ["f", "g", "h", "f:1", "g:1", "g:2"][usize::from(who) % 6];
        match what % 4 {
            0 | 1 => {
                if books.step(&format!("{name}+")).is_none() {
                    running.push(format!("{name}-"));
                }
            }
            2 if !running.is_empty() => {
                books.step(&running.swap_remove(usize::from(amount) % running.len()));
            }
            _ => drop(books.step(&format!("{name}={}", amount % 5))),
        }
        let Some(account) = books.ledger.accounts.get(&scope("us-east-1")) else { continue };
        let sums: Vec<Sums> = account.functions.values().map(Entry::sums).collect();
        assert_eq!(account.running, running.len() as u64);
        assert_eq!(account.running, sums.iter().map(|sums| sums.running).sum::<u64>());
        assert_eq!(account.claimed, sums.iter().map(|sums| sums.claimed).sum::<u64>());
        assert_eq!(account.pooled, sums.iter().map(|sums| sums.pooled).sum::<u64>());
        assert!(account.running <= 12, "more runs than the account may");
    }
}
