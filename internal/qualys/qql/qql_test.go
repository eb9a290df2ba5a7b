package qql_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tidewaiter/tidewaiter/internal/qualys/qql"
	"github.com/tidewaiter/tidewaiter/internal/tidewaiter"
)

func one(token, text string) qql.Term {
	return qql.Term{Token: token, Any: []qql.Value{{Text: text}}}
}

func value(text string) *qql.Value { return &qql.Value{Text: text} }

func TestParse(t *testing.T) {
	for text, want := range map[string]qql.Expr{
		"":                       qql.And{},
		"  ":                     qql.And{},
		"a:b":                    one("a", "b"),
		"a : b":                  one("a", "b"),
		"a=b":                    one("a", "b"),
		"a:https://x:5000/y":     one("a", "https://x:5000/y"),
		"a:*":                    one("a", "*"),
		`a:"x y \" z"`:           qql.Term{Token: "a", Any: []qql.Value{{Text: `x y " z`, Quote: qql.Double}}},
		"a:`x y`":                qql.Term{Token: "a", Any: []qql.Value{{Text: "x y", Quote: qql.Backtick}}},
		"a:[x,y , \"z\"]":        qql.Term{Token: "a", Any: []qql.Value{{Text: "x"}, {Text: "y"}, {Text: "z", Quote: qql.Double}}},
		"a:[1 .. 2]":             qql.Term{Token: "a", Range: &qql.Range{From: value("1"), To: value("2")}},
		"a:[1..2]":               qql.Term{Token: "a", Range: &qql.Range{From: value("1"), To: value("2")}},
		"a: [now-600s ... now]":  qql.Term{Token: "a", Range: &qql.Range{From: value("now-600s"), To: value("now")}},
		"a:(1 .. 2)":             qql.Term{Token: "a", Range: &qql.Range{From: value("1"), To: value("2"), FromOpen: true, ToOpen: true}},
		"a:[1700000000 ..]":      qql.Term{Token: "a", Range: &qql.Range{From: value("1700000000")}},
		"a:[.. 5)":               qql.Term{Token: "a", Range: &qql.Range{To: value("5"), ToOpen: true}},
		"a:'[now-7d ... now]'":   qql.Term{Token: "a", Range: &qql.Range{From: value("now-7d"), To: value("now")}},
		"a>1":                    qql.Term{Token: "a", Range: &qql.Range{From: value("1"), FromOpen: true}},
		"a<=1":                   qql.Term{Token: "a", Range: &qql.Range{To: value("1")}},
		"a:>=1":                  qql.Term{Token: "a", Range: &qql.Range{From: value("1")}},
		"a is null":              qql.Term{Token: "a", Null: true},
		"not a is null AND b>N1": qql.And{qql.Not{qql.Term{Token: "a", Null: true}}, qql.Term{Token: "b", Range: &qql.Range{From: value("N1"), FromOpen: true}}},
		"a:1 or b:2 and c:3":     qql.Or{one("a", "1"), qql.And{one("b", "2"), one("c", "3")}},
		"(a:1 or b:2) and c:3":   qql.And{qql.Or{one("a", "1"), one("b", "2")}, one("c", "3")},
		"NOT (a:1)":              qql.Not{one("a", "1")},
		"notes:1":                one("notes", "1"),
		"a.b_c:1":                one("a.b_c", "1"),
	} {
		got, err := qql.Parse(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", text, err, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"a", "a:", ":b", "a:b c:d", "a:b and", "and", "or a:b", "not", "(a:b", "a:b)", `a:"x`, "a:`x", "a:'x", "a:[1", "a:[1,", "a:[]", "a:[..]",
		"a:(1)", "a:[1 .. 2", "a is nul", "a is", "a>", "a ~ b", "a:''", "a:''''", "((", "%", "a:[1 .. 2]]", "a:'[1]x'", "a:[1 2]", "\x00",
		strings.Repeat("(", 60) + "a:b" + strings.Repeat(")", 60), strings.Repeat("not ", 60) + "a:b", strings.Repeat("a:b or ", 201) + "a:b",
		"a:[" + strings.Repeat("x,", 300) + "x]", "a:" + strings.Repeat("x", 9000),
	} {
		if e, err := qql.Parse(text); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid || len(err.Error()) > 250 {
			t.Errorf("%.40q: %v %v", text, e, err)
		}
	}
}

type record struct {
	names []string
	id    string
	size  []int64
	at    time.Time
}

var (
	now    = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	fields = []qql.Field[record]{
		{Name: "name", Texts: func(r record) []string { return r.names }},
		{Name: "id", ID: true, Texts: func(r record) []string { return []string{r.id} }, Clean: func(s string) string { return strings.TrimPrefix(s, "id-") }},
		{Name: "size", Nums: func(r record) []int64 { return r.size }},
		{Name: "at", Times: func(r record) time.Time { return r.at }},
	}
	sample = record{names: []string{"team/web-server", "docker.io/a.b.c"}, id: "AbC", size: []int64{3, 9}, at: now.Add(-48 * time.Hour)}
)

func TestMatch(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "name:team": true, "name:TEAM": true, "name:tea": true, "name:eam": false, "name:web": true, "name:team/serv": true, "name:team/other": false,
		"name:a.b": true, "name:b.c": false, `name:"team/web-server"`: true, `name:"TEAM/web-server"`: true, `name:"team"`: false, "name:`team/web-server`": true,
		"name:`TEAM/web-server`": false, "name:*web*": true, "name:web*": false, "name:*": true, "name:[x,team]": true, "name:[x,y]": false, "NAME:team": true,
		"id:abc": true, "id:ab": false, "id:a*": true, "id:id-abc": true, "not id:abc": false, "id is null": false, "not id is null": true,
		"size:3": true, "size:4": false, "size:[4 .. 8]": false, "size:[4 .. 9]": true, "size:[4 .. 9)": false, "size:(3 .. 8]": false, "size>8": true, "size>9": false,
		"size>=9": true, "size<3": false, "size<=3": true, "size:[1,9]": true, "size:*": true,
		"at:[now-3d .. now]": true, "at:[now-1d .. now]": false, "at>now-72h": true, "at:2026-11-18": true, "at:2026-11": true, "at:2026": true, "at:2025": false,
		"at:2026-11-18T12:00:00Z": true, "at<2026-11-18": false, "at<=2026-11-18": true, "at>2026-11-18": false, "at:[2026-11-18 .. 2026-11-18]": true,
		"at:1795003200000": true, "at>1795003200000": false, "at>=1795003200000": true, "at>now-1M": true, "at>now-1m": false, "at>now-1w": true, "at>now-1y": true, "at<now+5s": true,
		"at is null": false, "name:team and size:3": true, "name:team and size:4": false, "name:none or size:3": true, "not (name:none or size:3)": false,
		"at>0": true, "size>-9223372036854775808": true, "size>9223372036854775807": false,
	} {
		e, err := qql.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		holds, err := qql.Compile(e, fields, now)
		if err != nil || holds(sample) != want {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
	for _, text := range []string{"none:1", "size:x", "at:soon", "at>now-7q", "at:now7d", "at:now-99999999999d", "name:[a .. b]", "size:9223372036854775808", "a:1 or size:x", "not at:x"} {
		e, err := qql.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if _, err := qql.Compile(e, fields, now); tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("%s: %v", text, err)
		}
	}
	empty, _ := qql.Compile(qql.Term{Token: "at", Null: true}, fields, now)
	if !empty(record{}) {
		t.Error("a record without a time has none")
	}
}

// TestNotIsTheOpposite holds that of a filter and its negation exactly one lets a record through.
func TestNotIsTheOpposite(t *testing.T) {
	term := rapid.SampledFrom([]string{"name:team", "name:x*", "id:abc", "size>4", "size:[1 .. 2]", "at>now-3d", "at is null", `name:"a"`})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(term, 1, 5).Draw(t, "terms"), rapid.SampledFrom([]string{" and ", " or "}).Draw(t, "op"))
		r := record{names: []string{rapid.SampledFrom([]string{"team/a", "xy", "a"}).Draw(t, "name")}, size: []int64{rapid.Int64Range(0, 9).Draw(t, "size")}}
		if holds(t, text, r) == holds(t, "not ("+text+")", r) {
			t.Fatalf("%s and its opposite agree on %+v", text, r)
		}
	})
}

func holds(t *rapid.T, text string, r record) bool {
	e, err := qql.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	test, err := qql.Compile(e, fields, now)
	if err != nil {
		t.Fatal(err)
	}
	return test(r)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", `registryUri:"https://x"`, "sha:ab and lastScanned: [now-600s ... now]", "a:'[now-7d ... now]'", "not a is null AND b>1", "a:(1 .. 2)",
		"((a:1))", "a:[x,`y`]", "a:\\", "a:\"\\", "at:now-1", "at:now-", "size:[..9)", "at:now-é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := qql.Parse(text)
		if err != nil {
			if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if _, err := qql.Parse("(" + text + ")"); err != nil && strings.TrimSpace(text) != "" && len(text) < qql.MaxLength-2 && !strings.Contains(err.Error(), "nested") {
			t.Errorf("%q cannot be put into parentheses: %v", text, err)
		}
		if test, err := qql.Compile(e, fields, now); err == nil {
			test(sample)
		} else if tidewaiter.KindOf(err) != tidewaiter.ErrInvalid {
			t.Errorf("%q: %v", text, err)
		}
	})
}
