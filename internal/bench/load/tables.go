package load

var (
	firstNames = []string{"anna", "ben", "carla", "david", "elif", "finn", "greta", "hassan", "ines", "jonas", "klara", "liam", "mara", "noah", "olga", "paul"}
	lastNames  = []string{"schmidt", "meyer", "lindqvist", "rossi", "dubois", "kowalski", "oconnor", "yilmaz", "fernandez", "vandenberg", "novak", "hansen"}
	domains    = []string{"example.com", "mail.example.org", "example.net", "post.example.de"}
	streets    = []string{"Hauptstrasse 12", "Rue de la Paix 4", "Kungsgatan 88", "Via Roma 31", "Calle Mayor 7", "Damrak 19"}
	companies  = []string{"Acme GmbH", "Globex Corporation", "Initech AB", "Umbrella Logistics", "Hooli SARL"}
	jobs       = []string{"head of procurement", "software engineer", "nurse", "teacher", "operations manager"}
	tags       = []string{"vip", "newsletter-2026", "churn-risk", "webinar-attendee", "trial"}
	events     = []string{"email_opened", "email_clicked", "page_viewed", "product_viewed", "cart_updated", "order_completed"}
	campaigns  = []string{"spring-sale-2026", "winback-q3", "onboarding-step-2", "black-friday-teaser"}
	paths      = []string{"products/running-shoes-42", "collections/summer", "cart", "blog/how-to-choose-a-tent", "account/orders"}
	products   = []string{"Trail Runner 4 GTX", "Merino Base Layer", "Ultralight Tent 2P", "Thermo Bottle 0.75"}
	searches   = []string{"waterproof shoes wide fit", "gift for my sister", "tent two persons under 2kg", "return policy"}
	notes      = []string{
		"Called about the delayed delivery of the last order, wants a call back on Monday morning.",
		"Met at the trade fair; interested in the enterprise plan, budget decision in Q1.",
		"Prefers to be contacted in the evening. Has two children, asked about family discounts.",
		"Complaint resolved with a voucher over 20 euros, customer satisfied with the outcome.",
	}
	agents = []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
	}
	places = []struct{ city, postal, country, language string }{
		{"Berlin", "10115", "DE", "de"}, {"Paris", "75001", "FR", "fr"}, {"Stockholm", "111 57", "SE", "sv"},
		{"Milano", "20121", "IT", "it"}, {"Madrid", "28013", "ES", "es"}, {"Amsterdam", "1012", "NL", "nl"},
	}
)
