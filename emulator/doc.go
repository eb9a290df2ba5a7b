// Package emulator serves the native API of every kind of registry Tidewaiter knows, over real HTTP or HTTPS, behind the
// kind's real login, in front of a generated fleet of images that may hold millions of tags in constant memory.
//
// It verifies what it is sent: request signatures are computed again, assertions are checked against the key, tokens
// carry scopes and end. It pages as the real registries page, quirks included; it misbehaves when told to (Fault, Limit),
// and counts what it was asked, so that a test can say what a listing may cost.
//
//	e, err := emulator.New(emulator.Options{Kind: emulator.ECR, Repositories: 100, Tags: 1000})
//	…
//	defer e.Close()
//	login := e.Login() // what gets in
//	fmt.Println(e.URL, e.Endpoints()["ecr"], login.AccessKeyID)
package emulator
