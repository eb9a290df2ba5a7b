package emulator

import (
	"crypto/rand"
	"encoding/xml"
	"net/http"
	"strconv"
	"time"
)

// sts is AWS's security token service. AWS: "AWS Security Token Service API Reference", version 2011-06-15.
func (e *Emulator) sts(w http.ResponseWriter, r *http.Request) {
	label(r, e, "sts")
	who, failure := e.verifyAWS(r, "sts")
	if failure != nil {
		code := map[string]string{
			"UnrecognizedClientException": "InvalidClientTokenId", "InvalidSignatureException": "SignatureDoesNotMatch",
			"ExpiredTokenException": "ExpiredToken",
		}[failure.code]
		set(&code, failure.code)
		stsError(w, r, http.StatusForbidden, code, failure.message)
		return
	}
	if err := r.ParseForm(); err != nil {
		stsError(w, r, http.StatusBadRequest, "MalformedInput", err.Error())
		return
	}
	action := r.PostForm.Get("Action")
	label(r, e, "sts:"+action)
	switch action {
	case "AssumeRole":
		e.assumeRole(w, r)
	case "GetCallerIdentity":
		account := e.Login().Account
		arn := "arn:aws:iam::" + account + ":user/emulator"
		if who.role != "" {
			arn = who.role
		}
		stsAnswer(w, r, action, callerIdentity{Arn: arn, UserID: who.key, Account: account})
	default:
		stsError(w, r, http.StatusBadRequest, "InvalidAction", "Could not find operation "+action)
	}
}

type callerIdentity struct {
	Arn     string `xml:"Arn"`
	UserID  string `xml:"UserId"`
	Account string `xml:"Account"`
}

type assumedRole struct {
	Credentials struct {
		AccessKeyID     string `xml:"AccessKeyId"`
		SecretAccessKey string `xml:"SecretAccessKey"`
		SessionToken    string `xml:"SessionToken"`
		Expiration      string `xml:"Expiration"`
	} `xml:"Credentials"`
	User struct {
		ID  string `xml:"AssumedRoleId"`
		Arn string `xml:"Arn"`
	} `xml:"AssumedRoleUser"`
}

// assumeRole gives temporary keys to whoever names the configured role and, where one is configured, the external id.
func (e *Emulator) assumeRole(w http.ResponseWriter, r *http.Request) {
	l, form := e.Login(), r.PostForm
	arn, session := form.Get("RoleArn"), form.Get("RoleSessionName")
	if l.RoleARN == "" || arn != l.RoleARN || l.ExternalID != "" && form.Get("ExternalId") != l.ExternalID {
		stsError(w, r, http.StatusForbidden, "AccessDenied", "User: arn:aws:iam::"+l.Account+
			":user/emulator is not authorized to perform: sts:AssumeRole on resource: "+arn)
		return
	}
	wanted, err := strconv.Atoi(form.Get("DurationSeconds"))
	if form.Get("DurationSeconds") == "" {
		wanted, err = 3600, nil
	}
	if err != nil || wanted < 900 || wanted > 43200 || len(session) < 2 {
		stsError(w, r, http.StatusBadRequest, "ValidationError", "DurationSeconds has to be between 900 and 43200, RoleSessionName of 2 letters")
		return
	}
	var out assumedRole
	e.temporaryKeys(&out, arn, e.life(time.Duration(wanted)*time.Second))
	out.User.ID, out.User.Arn = "AROAEMULATED:"+session, arn+"/"+session
	stsAnswer(w, r, "AssumeRole", out)
}

func (e *Emulator) temporaryKeys(out *assumedRole, arn string, life time.Duration) {
	id := "ASIA" + rand.Text()[:16]
	out.Credentials.AccessKeyID, out.Credentials.SecretAccessKey = id, e.temporarySecret(id)
	out.Credentials.SessionToken = e.issue("aws-session", id, []string{arn}, life)
	out.Credentials.Expiration = e.now().Add(life).UTC().Format(time.RFC3339)
}

func stsAnswer(w http.ResponseWriter, r *http.Request, action string, result any) {
	const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"
	body, err := xml.Marshal(struct {
		XMLName xml.Name
		Result  any
	}{XMLName: xml.Name{Space: namespace, Local: action + "Response"}, Result: wrapped{action + "Result", result}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeBody(w, r, http.StatusOK, "text/xml", body)
}

// wrapped is a value in an element whose name is known only at run time.
type wrapped struct {
	name  string
	value any
}

// MarshalXML writes the value under its name.
func (x wrapped) MarshalXML(enc *xml.Encoder, _ xml.StartElement) error {
	return enc.EncodeElement(x.value, xml.StartElement{Name: xml.Name{Local: x.name}})
}

func stsError(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	body, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
		Type    string   `xml:"Error>Type"`
		Code    string   `xml:"Error>Code"`
		Message string   `xml:"Error>Message"`
		Request string   `xml:"RequestId"`
	}{Type: "Sender", Code: code, Message: message, Request: "emulated"})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeBody(w, r, status, "text/xml", body)
}

// instanceMetadata serves what a machine in AWS learns about its role. AWS: "Instance metadata", version 2 only.
func (e *Emulator) instanceMetadata(api *http.ServeMux) {
	api.HandleFunc("PUT /latest/api/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		writeBody(w, r, http.StatusOK, "text/plain", []byte(e.issue("imds", "instance", nil, 6*time.Hour)))
	})
	known := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if _, err := e.check("imds", r.Header.Get("X-Aws-Ec2-Metadata-Token")); err != nil {
				http.Error(w, "Unauthorized", http.StatusUnauthorized)
				return
			}
			next(w, r)
		}
	}
	const path = "GET /latest/meta-data/iam/security-credentials/"
	api.HandleFunc(path+"{$}", known(func(w http.ResponseWriter, r *http.Request) {
		writeBody(w, r, http.StatusOK, "text/plain", []byte("emulator-role"))
	}))
	api.HandleFunc(path+"emulator-role", known(func(w http.ResponseWriter, r *http.Request) {
		var out assumedRole
		e.temporaryKeys(&out, "arn:aws:sts::"+e.Login().Account+":assumed-role/emulator-role/instance", e.life(6*time.Hour))
		c := out.Credentials
		writeJSON(w, r, http.StatusOK, document{
			"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": c.AccessKeyID, "SecretAccessKey": c.SecretAccessKey,
			"Token": c.SessionToken, "Expiration": c.Expiration, "LastUpdated": e.now().UTC().Format(time.RFC3339),
		})
	}))
}
