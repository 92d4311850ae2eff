package eval_test

// examples are all that ship, with the words of their events that tell who sees
// what.
var examples = []example{
	{
		name:     "debezium",
		secret:   []string{"pin-4711", "her mother", "UPDATE", "maiden_name", "Envelope"},
		personal: []string{"Byron", "ada.byron@example.org", "augusta@", "bob@", "+44 20", "1004", "1005", "gtid-77", "000077", "tx-77", "1795169730250"},
		shared:   []string{`"Ada"`, `"Augusta"`},
		fixtures: []fixture{
			{file: "debezium/serde-update.json", topic: "inventory.customers", key: `{"id":1004}`},
			{file: "debezium/serde-without-schema.json", topic: "inventory.customers", key: `{"id":1004}`},
			{file: "debezium/serde-unknown-property.json", topic: "inventory.customers", key: `{"id":1004}`},
			{file: "debezium/serde-with-schema.json", topic: "inventory.customers.with_schema", key: `{"id":1004}`},
			{file: "debezium/serde-unwrapped.json", topic: "inventory.customers.flat", key: "1004"},
		},
	},
	{
		name:     "hubspot",
		secret:   []string{"kosher", "click-77", "countess@", "my office", `"88"`, "1002;1004"},
		personal: []string{"1001", "1003", "ada.byron@example.org", "bob@example.net", "+44 20", "SW1Y", "9001", "userId:88", "10:15:30.120"},
		shared:   []string{`"Ada"`, `"Bob"`},
	},
	{
		name:     "segment",
		secret:   []string{"mix-77", "knees", "bad+knees"},
		personal: []string{"Byron", "u-1001", "u-1002", "u-1000", "ANON-77AA", "+44 20", "12 St James", "SW1Y", "ada.byron@example.org", "carol@", "ua-77", "ord-5501", "msg-1", "Engines Ltd", "Ada's iPhone", "2024-02-29", "10:15:30", "10:19:58"},
		shared:   []string{`"Ada"`, "premium"},
		fixtures: []fixture{
			{file: "segment/spec-examples.ndjson", topic: "segment.events"},
			{file: "segment/test-context-track.json", topic: "segment.batches"},
			{file: "segment/test-enqueue-group.json", topic: "segment.batches"},
			{file: "segment/test-enqueue-identify.json", topic: "segment.batches"},
			{file: "segment/test-enqueue-page.json", topic: "segment.batches"},
			{file: "segment/test-many-track.json", topic: "segment.batches"},
		},
	},
	{
		name:     "sendgrid",
		secret:   []string{"tok-77", "ua-77", "user unknown", "Cassie", "192.0.2.77"},
		personal: []string{"Ada.Byron@example.org", "bob@", "c-1001", "ev-1", "mid-1", "smtp-1", "1795169730"},
		fixtures: []fixture{{file: "sendgrid/webhook-batches.ndjson", topic: "sendgrid.events"}},
	},
}
