package eval_test

// examples are all that ship, with the words of their events that tell who sees
// what.
var examples = []example{
	{
		name:     "adobe-xdm",
		secret:   []string{"woke me up", "not mine", "TCF-77", "+442079460018", "my sister"},
		personal: []string{"Byron", "p-1001", "p-1002", "xdm-77", "ada.byron@example.org", "Ada.Byron@", "countess@", "bob@", "ecid-77", "+44 20", "SW1Y", "London", "10:15:30"},
		shared:   []string{`"Ada"`},
		fixtures: []fixture{
			{file: "adobe-xdm/consent-preferences.example.1.json", topic: "xdm.profiles", key: "p-1001"},
			{file: "adobe-xdm/profile-consents.example.1.json", topic: "xdm.profiles", key: "p-1001"},
			{file: "adobe-xdm/marketing-field-subscription.example.1.json", topic: "xdm.subscriptions", key: "p-1001"},
			{file: "adobe-xdm/consentstring.example.1.json", topic: "xdm.profiles", key: "p-1001", around: [2]string{`{"xdm:identityPrivacyInfo": {"xdm:consentStrings": [{`, "}]}}"}},
		},
	},
	{
		name:     "cloudevents",
		secret:   []string{"dear knee", "aVZCT1J3", "VOUCH-77"},
		personal: []string{"c-1001", "ada.byron@example.org", "bob@", "dora@", "Bob Baker", "Dora Dean", "High Street", "LS1 4AP", "ord-5501", "ord-5504", "ev-1", "ev-4", "trace-77", "10:15:30.250"},
		fixtures: []fixture{
			{file: "cloudevents/kafka-protocol-binding.feature", scenario: "Binary content mode", topic: "shop.orders.binary"},
			{file: "cloudevents/kafka-protocol-binding.feature", scenario: "Binary content mode", topic: "shop.orders.binary", headers: map[string]string{"ce_subject": "c-1001"}},
			{file: "cloudevents/kafka-protocol-binding.feature", scenario: "Structured content mode", topic: "shop.orders.structured"},
			{file: "cloudevents/kafka-protocol-binding.feature", scenario: "Structured content mode", topic: "shop.orders.structured", around: [2]string{`{"subject": "c-1001",`, "}"}},
		},
	},
	{
		name:     "confluent-datagen",
		secret:   []string{"FEMALE", "OTHER"},
		fixtures: []fixture{{file: "confluent-datagen/users_array_map_schema.avro", topic: "users"}},
		personal: []string{"User_1", "User_2", "4155550101", "Ockham", "1795169730250"},
	},
	{
		name:     "debezium",
		secret:   []string{"pin-4711", "pin-0815", "her mother", "UPDATE", "maiden_name", "Envelope"},
		personal: []string{"Byron", "ada.byron@example.org", "augusta@", "bob@", "+44 20", "1004", "1005", "gtid-77", "@countess77", "000077", "tx-77", "1795169730250"},
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
		name:     "ga4",
		secret:   []string{"ada.byron%40", "knees", "+44 20", "Countess", "17.7.7", "Ockham", "to my dear", "bob%40", "GA1.77", "GA1.78", "aaaa7777"},
		personal: []string{"c-1001", "c-1002", "ord-5501", "ADA-10", "900077", "1795169730250123"},
		shared:   []string{"premium"},
	},
	{
		name:     "hubspot",
		secret:   []string{"kosher", "click-77", "countess@", "my office", `"88"`, "1002;1004"},
		personal: []string{"1001", "1003", "ada.byron@example.org", "bob@example.net", "+44 20", "SW1Y", "9001", "userId:88", "10:15:30.120"},
		shared:   []string{`"Ada"`, `"Bob"`},
		explicit: []string{"no peanuts"},
	},
	{
		name:     "salesforce",
		secret:   []string{"0x400200", "2-0x02", "0x10000000", "0x8000", "005AA000000EMPLAAA", "005AA000000OWNRAAA", "her mother", "braille", "Ms."},
		personal: []string{"003AA0000000001AAA", "003AA0000000002AAA", "001AA-77", "Byron", "12 St James", "SW1Y", "GU23", "+44 20", "ada.byron@", "bob@", "Analyst", "tx-77", "77001", "c77", "1795169730250"},
		explicit: []string{"wheelchair"},
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
