package qualys

// What the tests look at from outside.
var (
	QIDOf    = qidOf
	QIDsOf   = qidsOf
	LoginsOf = loginsOf
)
