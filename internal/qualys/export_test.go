package qualys

// What the tests look at from outside.
var (
	QIDOf    = qidOf
	QIDsOf   = qidsOf
	LoginsOf = loginsOf
)

// Routes lists the methods and paths of the API.
func Routes() []string {
	var out []string
	for _, r := range (&server{}).routes() {
		out = append(out, r.method+" "+r.path)
	}
	return out
}
