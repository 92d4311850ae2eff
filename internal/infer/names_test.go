package infer

import (
	"testing"

	"github.com/consentstream/consentstream/policy"
	"github.com/consentstream/consentstream/schemas"
)

// Every category that can be proposed is one that a wiring may name.
func TestCategoriesExist(t *testing.T) {
	n := 0
	check := func(category string) {
		if n++; category != "" && !policy.ValidCategory(category) {
			t.Errorf("%s is no category", category)
		}
	}
	for _, r := range nameRules {
		check(r.category)
	}
	for _, s := range shapeInfos {
		check(s.category)
	}
	for _, c := range subjectCategories {
		check(c)
	}
	for _, c := range append(yesNoOnly, consentCategory) {
		check(c)
	}
	if n < 80 {
		t.Errorf("only %d categories checked", n)
	}
}

// A category of the special ones that no name leads to would be proposed for
// nothing, where it matters most.
func TestSpecialCategoriesAreProposed(t *testing.T) {
	proposed := map[string]bool{}
	for _, r := range nameRules {
		proposed[r.category] = true
	}
	for _, category := range policy.Categories() {
		if policy.Special(category) && !proposed[category] && category != "user.authorization.biometric" && category != "user.biometric.health" && category != "x.user.neural_data" {
			t.Errorf("no name leads to %s", category)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"email", "user.contact.email"},
		{"EmailAddress", "user.contact.email"},
		{"emailaddress", "user.contact.email"},
		{"customer_emails[*]", "user.contact.email"},
		{"e-mail", "user.contact.email"},
		{"email_opt_in", "user.privacy_preferences"},
		{"HasOptedOutOfEmail", "user.contact.email"}, // as text; a boolean is not, see TestBooleans
		{"email_sha256", "user.unique_id.pseudonymous"},
		{"firstName", "user.name.first"},
		{"firstname", "user.name.first"},
		{"name.first", "user.name.first"},
		{"LASTNAME", "user.name.last"},
		{"name", "user.name"},
		{"customer.name", "user.name"},
		{"customer_name", "user.name"},
		{"traits.name", "user.name"},
		{"after.name", "user.name"},
		{"product.name", "user.behavior.purchase_history"},
		{"productName", "user.behavior.purchase_history"},
		{"os.name", "user.device"},
		{"app_name", ""},
		{"user_name", "user.account.username"},
		{"user.name", "user.name"},
		{"userId", "user.unique_id"},
		{"userID", "user.unique_id"},
		{"user.id", "user.unique_id"},
		{"id", "user.unique_id"},
		{"device.id", "user.device.device_id"},
		{"anonymousId", "user.unique_id.pseudonymous"},
		{"event_id", "system"},
		{"last_login_ip", "user.device.ip_address"},
		{"IPAddress", "user.device.ip_address"},
		{"ip_v4", "user.device.ip_address"},
		{"MailingCity", "user.contact.address.city"},
		{"address.state", "user.contact.address.state"},
		{"state", ""},
		{"address.foo", "user.contact.address"},
		{"addressLine2", "user.contact.address.street"},
		{"zip", "user.contact.address.postal_code"},
		{"dateOfBirth", "user.demographic.date_of_birth"},
		{"dob", "user.demographic.date_of_birth"},
		{"geburtsdatum", "user.demographic.date_of_birth"},
		{"vorname", "user.name.first"},
		{"ssn_last_4", "user.government_id.national_identification_number"},
		{"creditCardNumber", "user.financial.credit_card"},
		{"iban", "user.financial.bank_account"},
		{"password_hash", "user.authorization.password"},
		{"access_token", "user.authorization.credentials"},
		{"device_token", "user.device.device_id"},
		{"userAgent", "user.device"},
		{"lat", "user.location.precise"},
		{"page.url", "user.behavior.browsing_history"},
		{"utm.*", "user.behavior"},
		{"utm_term", "user.behavior.search_history"},
		{"religion", "user.demographic.religious_belief"},
		{"diagnoses", ""},
		{"diagnosis", "user.health_and_medical"},
		{"patient_id", "user.health_and_medical.record_id"},
		{"union_member", "x.user.union_membership"},
		{"consents.email", "user.contact.email"},
		{"consents.email.val", "user.privacy_preferences"},
		{`params[key=="email"].value.string_value`, "user.contact.email"},
		{`params[key=="page_location"].value`, "user.behavior.browsing_history"},
		{`"first name"`, "user.name.first"},
		{`"xdm:birthDate"`, "user.demographic.date_of_birth"},
		{"occurred_at", "system.operations"},
		{"ChangeEventHeader.changedFields[*]", ""},
		{"device.operating_system_version", "user.device"},
		{"campaign.term", "user.behavior.search_history"},
		{"foo", ""},
		{"x", ""},
		{"session_id", "user.device.cookie_id"},
		{"sessions[*].id", "user.device.cookie_id"},
		{"sessions[*].scope", ""}, // a session holds anything
		{"cookies.x", "user.device.cookie_id"},
		{"persona.mergedWith", "user.unique_id"},
	} {
		p, err := schemas.ParsePath(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := proposeName(p, isString.may); got.Category != c.want {
			t.Errorf("%s: got %q, want %q", c.path, got.Category, c.want)
		}
	}
}

// A flag about something is not that thing.
func TestBooleansAndNumbers(t *testing.T) {
	for _, c := range []struct {
		path string
		k    kinds
		want string
	}{
		{"email_verified", isBool, ""},
		{"has_phone", isBool | isNull, ""},
		{"consent.email", isBool, "user.privacy_preferences"},
		{"disabled", isBool, "user.health_and_medical"},
		{"opt_in", isBool, "user.privacy_preferences"},
		{"logins", isNumber, ""},
		{"user_id", isNumber, "user.unique_id"},
		{"user_id", isNumber | isString, "user.unique_id"},
	} {
		p, err := schemas.ParsePath(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := proposeName(p, c.k.may); got.Category != c.want {
			t.Errorf("%s as %v: got %q, want %q", c.path, c.k.names(), got.Category, c.want)
		}
	}
}

func TestSplit(t *testing.T) {
	for in, want := range map[string]string{
		"firstName": "first name", "HTTPServer": "http server", "user_ID": "user id", "a1b": "a 1 b", "IPv4": "i pv 4",
		"émigréName": "émigré name", "__x--y": "x y", "": "", "ABC": "abc", "xdm:val": "xdm val",
	} {
		got := ""
		for i, w := range split(in) {
			if i > 0 {
				got += " "
			}
			got += w
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// What is shown of the texts of key must be made of the table's own words.
func TestKnows(t *testing.T) {
	for text, want := range map[string]bool{
		"email": true, "page_location": true, "ga_session_id": true, "address 1": true, "Phone": true,
		"": false, "jane": false, "jane_email": false, "42": false, "email 4711": false, "émail": false, "email\n": false,
	} {
		if got := names.known.knows(text); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
}
