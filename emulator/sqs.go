package emulator

import (
	"crypto/md5" //nolint:gosec // SQS sends it, for clients to check against
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"
)

// sqs is Amazon's Simple Queue Service with one queue. AWS: "Amazon SQS API Reference", version 2012-11-05, JSON protocol.
func (e *Emulator) sqs(w http.ResponseWriter, r *http.Request, action string) {
	label(r, e, "sqs:"+action)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	if r.Header.Get("Content-Type") != "application/x-amz-json-1.0" {
		sqsError(w, r, "com.amazon.coral.service#UnknownOperationException", "")
		return
	}
	if _, failure := e.verifyAWS(r, "sqs"); failure != nil {
		sqsError(w, r, "com.amazon.coral.service#"+failure.code, failure.message)
		return
	}
	var in struct {
		QueueURL string `json:"QueueUrl"`
		Max      *int   `json:"MaxNumberOfMessages"`
		Wait     int    `json:"WaitTimeSeconds"`
		Hidden   *int   `json:"VisibilityTimeout"`
		Entries  []struct {
			ID     string `json:"Id"`
			Handle string `json:"ReceiptHandle"`
		} `json:"Entries"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		sqsError(w, r, "com.amazon.coral.service#SerializationException", "the body is no JSON")
		return
	}
	if in.QueueURL != e.Queue() {
		sqsError(w, r, "com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.")
		return
	}
	switch action {
	case "ReceiveMessage":
		n, hidden := 1, 30
		if in.Max != nil {
			n = *in.Max
		}
		if in.Hidden != nil {
			hidden = *in.Hidden
		}
		if n < 1 || n > 10 || in.Wait < 0 || in.Wait > 20 || hidden < 0 || hidden > 43200 {
			sqsError(w, r, "com.amazonaws.sqs#InvalidParameterValue", "a parameter is out of range")
			return
		}
		list := []document{}
		for _, m := range e.queue.take(r.Context(), n, time.Duration(hidden)*time.Second, time.Duration(in.Wait)*time.Second, e.now) {
			sum := md5.Sum([]byte(m.body)) //nolint:gosec // as above
			list = append(list, document{"MessageId": m.id, "ReceiptHandle": m.handle, "Body": m.body, "MD5OfBody": hex.EncodeToString(sum[:])})
		}
		doc := document{}
		if len(list) > 0 { // AWS: the member is left out where there are none
			doc["Messages"] = list
		}
		writeJSON(w, r, http.StatusOK, doc)
	case "DeleteMessageBatch":
		if len(in.Entries) < 1 || len(in.Entries) > 10 {
			sqsError(w, r, "com.amazonaws.sqs#TooManyEntriesInBatchRequest", "a batch has between 1 and 10 entries")
			return
		}
		successful, failed := []document{}, []document{}
		for _, entry := range in.Entries {
			if e.queue.remove(entry.Handle) {
				successful = append(successful, document{"Id": entry.ID})
			} else {
				failed = append(failed, document{"Id": entry.ID, "Code": "ReceiptHandleIsInvalid", "SenderFault": true})
			}
		}
		writeJSON(w, r, http.StatusOK, document{"Successful": successful, "Failed": failed})
	default:
		sqsError(w, r, "com.amazon.coral.service#UnknownOperationException", action)
	}
}

func sqsError(w http.ResponseWriter, r *http.Request, code, message string) {
	writeJSON(w, r, http.StatusBadRequest, document{"__type": code, "message": message})
}
