//! Lists of conversations on both databases, held against a twin that filters and sorts in memory.

use crate::people_support::*;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use time::{Duration, OffsetDateTime};
use transom_storage::ConversationCondition as C;

/// The present of every query.
const NOW: OffsetDateTime = NOON;
const NAMES: [&str; 4] = ["Mara Klein", "Märta Groß", "Ole Hansen", "Lena Klein"];
const TAGS: [&str; 3] = ["billing", "refund", "vip"];

fn minutes(minutes: i64) -> OffsetDateTime {
    NOON + Duration::minutes(minutes)
}

struct Crowd {
    desk: Desk,
    agents: Vec<AgentId>,
    teams: Vec<TeamId>,
    /// As stored, with the name of the customer and the platform.
    all: Vec<(StoredConversation, &'static str, &'static str)>,
}

#[derive(Debug, Clone)]
struct Plan {
    name: usize,
    second_account: bool,
    status: u8,
    agent: Option<usize>,
    team: Option<usize>,
    touches: Vec<(i64, u8)>,
    closes: Option<OffsetDateTime>,
    free_form: Option<OffsetDateTime>,
    tags: Vec<&'static str>,
}

fn plans() -> impl Strategy<Value = Plan> {
    let optional = |n: usize| proptest::option::weighted(0.4, 0..n);
    // Now and then somebody wrote, or was written to, more than a day later.
    let at = prop_oneof![5 => -50..50_i64, 1 => 1_400..1_500_i64];
    let touches = proptest::collection::vec((at, 0..4_u8), 0..4);
    // Now and then a window has no end.
    let instant = || {
        let end = prop_oneof![6 => (-20..20_i64).prop_map(minutes), 1 => Just(WindowColumns::NEVER)];
        proptest::option::of(end)
    };
    let tags = subsequence(TAGS.to_vec(), 0..3);
    (0..NAMES.len(), any::<bool>(), 0..3_u8, optional(2), optional(2), touches, instant(), instant(), tags).prop_map(
        |(name, second_account, status, agent, team, touches, closes, free_form, tags)| Plan {
            name,
            second_account,
            status,
            agent,
            team,
            touches,
            closes,
            free_form,
            tags,
        },
    )
}

async fn crowd(db: &TestDatabase, runner: &mut TestRunner, count: usize) -> Crowd {
    let desk = Desk::open(db).await;
    let agents = vec![desk.agent().await.id, desk.agent().await.id];
    let teams = vec![desk.team("one").await, desk.team("two").await];
    for tag in TAGS {
        in_tx!(desk, [], tx => tx.create_tag(tag, NOON).await).unwrap();
    }
    let mut all = Vec::new();
    for n in 0..count {
        let plan = plans().new_tree(runner).unwrap().current();
        let account = if plan.second_account { desk.other_account } else { desk.account };
        let user = format!("user-{n}");
        let met = desk.meet(&PersonSeed { account, ..desk.named(&[("user_id", &user)], NAMES[plan.name]) }).await;
        let mut stored = desk.open_conversation(&met).await.conversation;
        let assignment =
            Assignment { agent: plan.agent.map(|agent| agents[agent]), team: plan.team.map(|team| teams[team]) };
        stored.assign(assignment, NOON);
        match plan.status {
            0 => stored.close(OnClose::Keep, NOON).map(|_| ()).unwrap(),
            1 => stored.snooze(minutes(500), NOON).map(|_| ()).unwrap(),
            _ => {}
        }
        let ends = [plan.closes, plan.free_form].into_iter().flatten();
        let window = WindowColumns {
            closes_at: plan.closes,
            free_form_until: plan.free_form,
            ends_at: ends.filter(|end| NOW < *end && *end < WindowColumns::NEVER).min(),
            ..WindowColumns::default()
        };
        let identity = met.identity.id;
        in_tx!(desk, [plan, stored, window], tx => {
            for (minute, kind) in plan.touches {
                let (direction, by_person) = [
                    (Direction::Inbound, false),
                    (Direction::Inbound, false),
                    (Direction::Outbound, true),
                    (Direction::Outbound, false),
                ][usize::from(kind)];
                let touch = Touch { at: minutes(minute), direction, by_person, preview: "x".into() };
                tx.touch_conversation(stored.id, &touch, NOON).await?;
            }
            tx.save_conversation(&stored, NOON).await?;
            tx.save_window(identity, &window, NOON).await?;
            let tags: Vec<String> = plan.tags.iter().map(|tag| (*tag).to_owned()).collect();
            if n % 3 == 0 {
                let answer = SurveyAnswer {
                    episode: stored.episode,
                    conversation: stored.id,
                    message: MessageId::new(&UuidV7),
                    score: u8::try_from(n % 5).unwrap() + 1,
                    at: NOON,
                };
                tx.insert_survey((stored.episode, stored.id), None, NOON).await?;
                tx.answer_survey(&answer, NOON).await?;
            }
            tx.add_tags(stored.id, &tags, NOON).await
        })
        .unwrap();
        let found = desk.reader().conversation(stored.id).await.unwrap().unwrap();
        all.push((found, NAMES[plan.name], if plan.second_account { "beta" } else { "alpha" }));
    }
    Crowd { desk, agents, teams, all }
}

impl Crowd {
    /// One query in three for each filter, with few values, so that most find something and some nothing.
    fn queries(&self) -> impl Strategy<Value = ConversationQuery> + use<> {
        let (agents, teams) = (self.agents.clone(), self.teams.clone());
        let accounts = vec![self.desk.account, self.desk.other_account];
        let contacts: Vec<ContactId> = self.all.iter().map(|(stored, ..)| stored.contact).take(3).collect();
        let tab = proptest::option::weighted(0.3, select(vec![Tab::Open, Tab::Assigned, Tab::Snoozed, Tab::Closed]));
        let status = proptest::option::weighted(
            0.3,
            select(vec![StatusFilter::Open, StatusFilter::Snoozed, StatusFilter::Closed]),
        );
        let inbox = proptest::option::weighted(
            0.4,
            select(vec![
                Inbox::Mine(agents[0]),
                Inbox::Unassigned,
                Inbox::Team(teams.clone()),
                Inbox::Team(vec![teams[1]]),
                Inbox::Team(Vec::new()),
                Inbox::All,
            ]),
        );
        let sort = select(vec![Sort::Newest, Sort::Oldest, Sort::LongestWaiting, Sort::ClosingSoonest]);
        let window = proptest::option::weighted(0.2, select(vec![WindowState::Open, WindowState::Closed]));
        let few = |weight: f64| proptest::option::weighted(weight, Just(()));
        let q = proptest::option::weighted(
            0.2,
            select(vec!["klein", "mar", "MARTA", "gross m", "user-3", "nobody", " ", "%"]),
        );
        let first = (tab, status, inbox, sort, window, q);
        let second = (
            (few(0.15), subsequence(vec!["alpha".to_owned(), "beta".to_owned(), "gamma".to_owned()], 1..3)),
            (few(0.15), subsequence(accounts, 1..2)),
            proptest::option::weighted(0.1, select(contacts)),
            (few(0.15), subsequence(agents, 1..2)),
            (few(0.15), subsequence(teams, 1..2)),
            (few(0.2), subsequence(TAGS.map(str::to_owned).to_vec(), 1..3)),
            proptest::option::weighted(0.15, -5..25_i64),
            proptest::collection::vec((any::<bool>(), select(self.conditions())), 0..2),
        );
        fn given<T>((given, values): (Option<()>, Vec<T>)) -> Vec<T> {
            if given.is_some() { values } else { Vec::new() }
        }
        (first, second).prop_map(
            |(
                (tab, status, inbox, sort, window, q),
                (platforms, accounts, contact, agents, teams, tags, closing, filters),
            )| {
                let filters = filters.into_iter().map(|(holds, condition)| Filter { holds, condition }).collect();
                ConversationQuery {
                    tab,
                    status,
                    inbox,
                    platforms: given(platforms),
                    accounts: given(accounts),
                    contact,
                    assignees: given(agents),
                    teams: given(teams),
                    window,
                    closing_before: closing.map(minutes),
                    tags: given(tags),
                    q: q.map(str::to_owned),
                    filters,
                    sort,
                    after: None,
                    limit: 7,
                    now: NOW,
                }
            },
        )
    }

    /// Conditions to combine with the others, the opposite of each included.
    fn conditions(&self) -> Vec<C> {
        vec![
            C::Tab(vec![Tab::Open, Tab::Closed]),
            C::Agent(self.agents.clone()),
            C::Agent(vec![self.agents[1]]),
            C::Team(vec![self.teams[0]]),
            C::Unassigned,
            C::Platform(vec!["beta".into()]),
            C::Account(vec![self.desk.account]),
            C::Tag(vec!["vip".into(), "refund".into()]),
            C::Score(vec![2, 3]),
            C::Window(WindowState::Open),
            C::InboundBefore(minutes(10)),
            C::InboundAfter(minutes(-10)),
            C::ClosingBefore(minutes(10)),
            C::Contact(ContactCondition::Id(self.all.iter().map(|(stored, ..)| stored.contact).take(30).collect())),
            C::Contact(ContactCondition::Found(vec![Find::anything("klein")])),
            C::Contact(ContactCondition::Blocked(true)),
            C::Contact(ContactCondition::Platform(vec!["beta".into()])),
            C::Contact(ContactCondition::Label(vec!["nobody's".into()])),
        ]
    }

    /// Whether a condition holds.
    fn holds(condition: &C, (stored, name, platform): &(StoredConversation, &str, &str)) -> bool {
        let assignment = stored.conversation.assignment;
        let ends = [stored.window.closes_at, stored.window.free_form_until];
        match condition {
            C::Tab(tabs) => tabs.contains(&stored.conversation.tab()),
            C::Agent(agents) => assignment.agent.is_some_and(|agent| agents.contains(&agent)),
            C::Team(teams) => assignment.team.is_some_and(|team| teams.contains(&team)),
            C::Unassigned => !assignment.is_some(),
            C::Platform(platforms) | C::Contact(ContactCondition::Platform(platforms)) => {
                platforms.iter().any(|wanted| wanted == platform)
            }
            C::Account(accounts) => accounts.contains(&stored.account),
            C::Tag(tags) => tags.iter().any(|tag| stored.tags.contains(tag)),
            C::Score(scores) => stored.survey_score.is_some_and(|score| scores.contains(&score)),
            C::Window(state) => (*state == WindowState::Open) == ends.into_iter().flatten().any(|end| end > NOW),
            C::InboundBefore(before) => stored.last_inbound_at.is_some_and(|at| at < *before),
            C::InboundAfter(after) => stored.last_inbound_at.is_some_and(|at| at > *after),
            C::ClosingBefore(before) => ends.into_iter().flatten().min().is_some_and(|end| end > NOW && end < *before),
            C::Contact(ContactCondition::Id(contacts)) => contacts.contains(&stored.contact),
            C::Contact(ContactCondition::Found(_)) => name.contains("Klein"),
            C::Contact(_) => false,
        }
    }

    /// Whether a filter lets a conversation through. Times are never asked for their opposite: whoever never wrote has none.
    fn passes(filter: &Filter<C>, each: &(StoredConversation, &str, &str)) -> bool {
        let is_of_time = matches!(filter.condition, C::InboundBefore(_) | C::InboundAfter(_) | C::ClosingBefore(_));
        Self::holds(&filter.condition, each) == (filter.holds || is_of_time)
    }

    /// Whether a conversation belongs to the list; tab and status are left to the caller.
    fn belongs(&self, query: &ConversationQuery, each: &(StoredConversation, &str, &str)) -> bool {
        let (stored, name, platform) = each;
        let assignment = stored.conversation.assignment;
        let any = |wanted: &[String], has: &dyn Fn(&String) -> bool| wanted.is_empty() || wanted.iter().any(has);
        let ends = [stored.window.closes_at, stored.window.free_form_until];
        let closing = ends.into_iter().flatten().min();
        let is_open = ends.into_iter().flatten().any(|end| end > NOW);
        let inbox = match &query.inbox {
            None | Some(Inbox::All) => true,
            Some(Inbox::Mine(agent)) => assignment.agent == Some(*agent),
            Some(Inbox::Unassigned) => !assignment.is_some(),
            Some(Inbox::Team(teams)) => assignment.team.is_some_and(|team| teams.contains(&team)),
        };
        let named = match query.q.as_deref().map(str::trim) {
            None | Some("") => true,
            Some("klein") => name.contains("Klein"),
            Some("mar") => *name == "Mara Klein" || *name == "Märta Groß",
            Some("MARTA" | "gross m") => *name == "Märta Groß",
            Some("user-3") => stored.contact == self.all[3].0.contact,
            Some(_) => false,
        };
        // Tabs are counted whatever is asked of them.
        let passes =
            query.filters.iter().all(|filter| matches!(filter.condition, C::Tab(_)) || Self::passes(filter, each));
        inbox
            && passes
            && named
            && any(&query.platforms, &|wanted| wanted == platform)
            && any(&query.tags, &|wanted| stored.tags.contains(wanted))
            && (query.accounts.is_empty() || query.accounts.contains(&stored.account))
            && query.contact.is_none_or(|contact| stored.contact == contact)
            && (query.assignees.is_empty() || assignment.agent.is_some_and(|agent| query.assignees.contains(&agent)))
            && (query.teams.is_empty() || assignment.team.is_some_and(|team| query.teams.contains(&team)))
            && query.window.is_none_or(|window| (window == WindowState::Open) == is_open)
            && query.closing_before.is_none_or(|before| closing.is_some_and(|end| end > NOW && end < before))
    }

    fn expected(&self, query: &ConversationQuery) -> Vec<ConversationId> {
        let mut found: Vec<&StoredConversation> = Vec::new();
        for each in self.all.iter().filter(|each| self.belongs(query, each)) {
            let (tab, status) = (each.0.conversation.tab(), each.0.conversation.status.as_str());
            let of_status = query.status.is_none_or(|wanted| match wanted {
                StatusFilter::Open => status == "open",
                StatusFilter::Snoozed => status == "snoozed",
                StatusFilter::Closed => status == "closed",
            });
            let of_sort = match query.sort {
                Sort::Newest | Sort::Oldest => true,
                Sort::LongestWaiting => each.0.waiting_since.is_some(),
                Sort::ClosingSoonest => {
                    let ends = [each.0.window.closes_at, each.0.window.free_form_until];
                    ends.into_iter().flatten().min().is_some_and(|end| end > NOW)
                }
            };
            let of_tabs =
                query.filters.iter().all(|filter| !matches!(filter.condition, C::Tab(_)) || Self::passes(filter, each));
            if of_status && of_sort && of_tabs && query.tab.is_none_or(|wanted| wanted == tab) {
                found.push(&each.0);
            }
        }
        found.sort_by_key(|stored| (stored.sort_key(query.sort), stored.conversation.id));
        if query.sort == Sort::Newest {
            found.reverse();
        }
        found.into_iter().map(|stored| stored.conversation.id).collect()
    }
}

transom_storage::both_databases! {
    async fn pages_are_what_the_twin_says(db: TestDatabase) {
        let mut runner = TestRunner::deterministic();
        let crowd = crowd(&db, &mut runner, 60).await;
        let reader = crowd.desk.reader();
        let (mut hits, mut pages) = (0, 0);
        for _ in 0..400 {
            let mut query = crowd.queries().new_tree(&mut runner).unwrap().current();
            let expected = crowd.expected(&query);
            let mut seen = Vec::new();
            loop {
                let page = reader.conversations(&query).await.unwrap();
                assert!(page.len() <= 7);
                let Some(last) = page.last() else { break };
                query.after = Some((last.sort_key(query.sort), last.conversation.id));
                seen.extend(page.iter().map(|stored| stored.conversation.id));
                pages += 1;
            }
            assert_eq!(seen, expected, "{query:?}");
            hits += usize::from(!seen.is_empty());
        }
        // Queries that find nothing prove nothing.
        assert!(hits > 100 && pages > 200, "{hits} queries found something, on {pages} pages");
    }

    async fn counts_are_what_the_twin_says(db: TestDatabase) {
        let mut runner = TestRunner::deterministic();
        let crowd = crowd(&db, &mut runner, 60).await;
        let reader = crowd.desk.reader();
        for _ in 0..200 {
            let query = crowd.queries().new_tree(&mut runner).unwrap().current();
            let mut expected = TabCounts::default();
            for each in crowd.all.iter().filter(|each| crowd.belongs(&query, each)) {
                *match each.0.conversation.tab() {
                    Tab::Open => &mut expected.open,
                    Tab::Assigned => &mut expected.assigned,
                    Tab::Snoozed => &mut expected.snoozed,
                    Tab::Closed => &mut expected.closed,
                } += 1;
            }
            assert_eq!(reader.tab_counts(&query).await.unwrap(), expected, "{query:?}");
        }
    }

    async fn another_workspaces_conversations_are_neither_listed_nor_counted(db: TestDatabase) {
        let mut runner = TestRunner::deterministic();
        let crowd = crowd(&db, &mut runner, 10).await;
        let scope = db.workspace(&crowd.desk.storage, "Other").await;
        let other = Desk::of(crowd.desk.storage.clone(), scope).await;
        let (_, own) = other.customer("Mara Klein").await;
        for _ in 0..60 {
            let query = crowd.queries().new_tree(&mut runner).unwrap().current();
            let listed = other.reader().conversations(&query).await.unwrap();
            assert!(listed.iter().all(|stored| stored.conversation.id == own.conversation.id), "{query:?}");
            let counts = other.reader().tab_counts(&query).await.unwrap();
            assert!(counts.open + counts.assigned + counts.snoozed + counts.closed <= 1, "{query:?}");
        }
        // A cursor of one workspace means nothing in another, and shows nothing of it.
        let mut query = ConversationQuery::new(NOW);
        let last = &crowd.all[4].0;
        query.after = Some((last.sort_key(Sort::Newest), last.conversation.id));
        let listed = other.reader().conversations(&query).await.unwrap();
        assert!(listed.iter().all(|stored| stored.conversation.id == own.conversation.id));
    }
}
