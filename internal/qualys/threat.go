package qualys

import "github.com/tidewaiter/tidewaiter/internal/tidewaiter"

// easyFrom is the EPSS score from which an attack counts as easy. Ours: from there on it is likelier than not that one comes within
// thirty days.
const easyFrom = 0.5

// add adds what the feeds tell. Attacks that were seen had an exploit; ransomware is malware.
func (t *threatIntel) add(threat tidewaiter.Threat) {
	if k := threat.KEV; k != nil {
		t.ActiveAttacks, t.PublicExploit = true, true
		t.Malware = t.Malware || k.Ransomware
	}
	if e := threat.EPSS; e != nil && e.Score >= easyFrom {
		t.EasyExploit = true
	}
}
