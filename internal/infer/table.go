package infer

// nameRule gives a category to phrases of words. In a phrase, "/" stands where
// the name of a member ends and that of one in it begins; a phrase that begins
// with "^" is the whole name, of a member that lies in none; PERSON stands for
// each of the words of persons.
type nameRule struct {
	category string // "": a phrase that says that the name is none of a person
	phrases  string // separated by commas
}

// persons are words for whom data is about.
const persons = `account applicant attendee author beneficiary borrower buyer candidate cardholder citizen client contact
customer donor employee guest holder individual insured kunde lead member owner partner passenger patron people
person player policyholder profile prospect recipient registrant resident sender shopper spouse student subscriber tenant
traits user visitor who`

// envelopes are members that say nothing of what lies in them.
const envelopes = `after attributes before body data detail fields new object old payload record traits value`

// plainWords are words of names that say nothing of a category. They are here so
// that names made of them are known for names.
const plainWords = `active app attribute batch begin build category class code collection config context converted current
custom date day default detail double duration enabled end error external field file first flag float format from ga global
group hour id index info int integer is key kind last length level list long map meta metadata method min minute month msec
name namespace new next number object old option other param parameter parent payload period previous primary property
raw reason record ref reference result row second secondary section seq set shop size start status step store string sub
success system test text to total type unit update user value vendor verified web week year home work office main`

// nameRules is the table. Words are English, those of CRM and marketing tools,
// and the commonest German and French ones.
var nameRules = []nameRule{
	// Who.
	{"user.account.username", `username, user name, login name, screen name, nickname, nick name, user handle, login`},
	{"user.name.first", `first name, given name, forename, fname, first name kana, vorname, prenom, prénom, name/first, name/given`},
	{"user.name.last", `last name, surname, family name, lname, maiden name, nachname, familienname, name/last, name/family`},
	{"user.name", `^name, full name, middle name, display name, legal name, preferred name, initials, salutation, honorific,
		PERSON name, PERSON/name, patient name, patient/name, name prefix, name suffix, anrede`},
	{"user.unique_id", `^id, PERSON id, PERSON/id, PERSON uuid, PERSON guid, PERSON key, PERSON number, PERSON/number, PERSON/key,
		external id, crm id, distinct id, uid, subject id, loyalty number, loyalty id, membership number, membership id, vid,
		canonical vid, salesforce id, hubspot id, person ref, merged object id, merged with, merged into, merged from, kundennummer, alias`},
	{"user.unique_id.pseudonymous", `anonymous id, pseudonym, pseudonymous id, pseudo id, hashed id, email hash, hashed email, email sha 256, email md 5, email sha, hash`},
	// How to reach them.
	{"user.contact.email", `email, e mail, mail, email address, mail address, mailto, reply to, courriel`},
	{"user.contact.phone_number", `phone, phone number, telephone, telephone number, tel, mobile, mobile number, mobile phone, cell,
		cell phone, msisdn, whatsapp, sms number, landline, telefon, handy, mobil`},
	{"user.contact.fax_number", `fax, fax number`},
	{"user.contact.address", `address, mailing address, postal address, shipping address, billing address, adresse, anschrift`},
	{"user.contact.address.street", `street, street address, street name, street number, house number, address line, address line 1,
		address line 2, address 1, address 2, address/line 1, address/line 2, address/line, apartment, strasse, straße, hausnummer, rue`},
	{"user.contact.address.city", `city, town, locality, municipality, ort, stadt, ville`},
	{"user.contact.address.postal_code", `postal code, post code, postcode, zip, zip code, plz, postleitzahl`},
	{"user.contact.address.state", `address/state, address state, mailing state, billing state, shipping state, other state, state code,
		province, county, bundesland, address/region`},
	{"user.contact.address.country", `country, country code, country name, land, pays`},
	{"user.contact.organization", `organization, organisation, organization name, organisation name, org name`},
	{"user.contact.url", `website, homepage, home page, personal url, blog`},
	{"user.social", `social, linkedin, twitter, facebook, instagram, tiktok, github, handle, social profile, linkedin url`},
	// Work.
	{"user.job_title", `job title, occupation, profession, job, PERSON title, PERSON/title, seniority, beruf`},
	{"user.workplace", `company, company name, employer, workplace, department, industry, company size, business, firma, abteilung`},
	// What they are.
	{"user.demographic.date_of_birth", `birth date, birthday, birth day, date of birth, dob, born, birth year, birth month, year of birth, birth,
		geburtsdatum, geburtstag, naissance`},
	{"user.demographic.age_range", `age, age range, age group, age bracket`},
	{"user.demographic.gender", `gender, sex, geschlecht`},
	{"x.user.gender_identity", `gender identity, pronoun, transgender`},
	{"user.demographic.language", `language, lang, locale, preferred language, sprache`},
	{"user.demographic.marital_status", `marital status, civil status, married, familienstand`},
	{"user.demographic.political_opinion", `political, political opinion, political party, party affiliation, voting`},
	{"user.demographic.race_ethnicity", `race, ethnicity, ethnic, ethnic origin, ethnic group`},
	{"user.demographic.religious_belief", `religion, religious, religious belief, church, denomination, konfession`},
	{"user.demographic.sexual_orientation", `sexual orientation, sexuality`},
	{"x.user.union_membership", `union membership, trade union, labor union, labour union, union member`},
	{"user.demographic", `education, nationality, citizenship, household, household size, demographic, persona, number of children`},
	{"user.childrens", `child, children, kid, minor, guardian, school, child name, child age`},
	{"user.criminal_history", `criminal, conviction, criminal record, criminal history, offence, offense, felony`},
	{"user.health_and_medical", `health, medical, diagnosis, disease, illness, symptom, medication, prescription, allergy, allergies,
		disability, disabled, accessibility, accessibility needs, blood type, blood pressure, heart rate, pregnant, pregnancy, therapy,
		vaccination, vaccine, patient, dietary, diet, bmi, doctor, hospital, sick, krankheit`},
	{"user.health_and_medical.genetic", `genetic, dna, genome`},
	{"user.health_and_medical.record_id", `medical record, medical record number, patient id, mrn`},
	{"user.health_and_medical.insurance_beneficiary_id", `health insurance, insurance number, insurance id`},
	{"user.biometric", `biometric, face print, faceprint, facial`},
	{"user.biometric.fingerprint", `fingerprint`},
	{"user.biometric.voice", `voice print, voiceprint`},
	{"user.biometric.retinal", `iris, retina`},
	// Papers and money.
	{"user.government_id.national_identification_number", `ssn, social security, social security number, ssn last 4, national id, national insurance,
		national insurance number, nino, tax id, tax number, tin, cpf, curp, aadhaar, pesel, personnummer, bsn, steuer id, steuernummer,
		identity card, id card, id number, personal number`},
	{"user.government_id.passport_number", `passport, passport number`},
	{"user.government_id.drivers_license_number", `driver license, drivers license, driver licence, driving licence, driving license, license number`},
	{"user.government_id.vehicle_registration", `license plate, number plate, vehicle registration, vin, kennzeichen`},
	{"user.government_id.immigration", `immigration, residence permit, visa number`},
	{"user.government_id.birth_certificate", `birth certificate`},
	{"user.financial", `income, salary, lifetime value, ltv, clv, annual income, credit score, balance, net worth, credit limit, loan, debt`},
	{"user.financial.bank_account", `iban, bank account, bank account number, bic, account/iban, routing number, sort code, bank, kontonummer`},
	{"user.financial.credit_card", `credit card, credit card number, card number, debit card, cc number, pan, cvv, cvc, card expiry, card last 4, card`},
	{"user.payment", `payment, payment method, payment id, billing, paypal`},
	// Signing in.
	{"user.authorization.password", `password, passwd, pwd, passphrase, password hash, pin`},
	{"user.authorization.credentials", `token, access token, refresh token, id token, auth token, api key, secret, session token, jwt, bearer, otp,
		authorization, private key, credential, security question, security answer`},
	{"user.account.settings", `setting, notification setting, theme, account setting`},
	{"user.account", `account status, account type, plan, tier, membership level, signup date, signup, registration date, account created, membership`},
	// Devices and places.
	{"user.device.ip_address", `ip, ip address, ip addr, ipv 4, ipv 6, client ip, remote addr, remote address, forwarded for`},
	{"user.device.device_id", `device id, device/id, idfa, idfv, gaid, advertising id, ad id, aaid, android id, imei, mac address, udid, device token,
		device/token, device/name, push token, fcm token, device fingerprint, browser fingerprint, serial number, registration id`},
	{"user.device.cookie_id", `cookie id, cookie, ga client id, ga session id, session id, session, fbp, fbc, gclid, fbclid, click id, visit id`},
	{"user.device", `user agent, browser, os, os version, os name, os/name, os/version, os version, operating system, operating system version, browser version, browser/version, device, device model, device type, platform, screen,
		screen/width, screen/height, resolution, viewport, network, carrier, manufacturer, bluetooth, wifi, cellular, connection type,
		device/type, device/model, device/manufacturer`},
	{"user.location.precise", `latitude, longitude, lat, lng, lon, gps, coordinate, coord, geo point, geolocation, location/lat, location/long`},
	{"user.location.imprecise", `region, geo, timezone, time zone, location, metro, continent, geo city, geo country, geo region, geo/city, geo/country, geo/region, location/city, location/country`},
	{"user.sensor", `sensor, accelerometer, gyroscope`},
	{"user.telemetry", `telemetry, crash`},
	// What they do.
	{"user.behavior.browsing_history", `url, uri, href, page, page url, page path, page title, page/path, page/title, page/url, page location, page referrer, referrer,
		referer, landing page, query string, link, link url, page/name, screen/name`},
	{"user.behavior.search_history", `search, search query, search term, page/search, keyword, utm term, campaign/term, search keyword, query`},
	{"user.behavior.media_consumption", `video, watch time, song, playlist, episode, media, video title`},
	{"user.behavior.purchase_history", `order, order id, order/id, order number, purchase, product, product id, product/id, product name, product/name, product category, sku, cart,
		basket, price, revenue, quantity, coupon, discount, checkout, subtotal, order total, transaction, transaction id, invoice, item,
		item id, item name, item/name, item/id, currency, amount, wishlist, subscription`},
	{"user.behavior", `event, event name, event type, event/name, event/type, action, click, clicked, open, opened, view, viewed, sent, delivered, bounce, bounced,
		visit, visited, campaign, campaign id, campaign name, campaign/name, campaign/id, campaign/content, utm, source, traffic source, utm source, utm medium, utm campaign, utm content, channel, medium, score,
		lead score, segment, tag, label, interest, engagement, engagement time, session duration, count, last seen, last seen at, last login, last login at, last activity at, login count, activity,
		lead source, lead status, lifecycle stage, stage, variant, experiment, newsletter, nps, rating, survey, frequency`},
	{"user.privacy_preferences", `consent, opt in, opt out, opted in, opted out, unsubscribe, unsubscribed, do not call, do not contact, do not email, dnt, gdpr,
		gdpr opt in, ccpa, us privacy, tcf, tcf string, gpp, gpp string, consent string, permission, privacy, cookie consent, subscription status,
		suppression, double opt in, consent timestamp, consent at, opt in at, opt out at, legal basis, lawful basis, optin, optout, purpose`},
	// What they write.
	{"user.content.private", `note, comment, message, message body, description, free text, feedback, remark, complaint, ticket, bemerkung, notiz, kommentar`},
	{"x.user.communications_content", `email body, email subject, sms text, message text, call recording, conversation, transcript, chat, mail body`},
	{"user.content.public", `review, post, tweet`},
	{"user.content.self_image", `avatar, photo, picture, selfie, profile picture, profile image, photo url, avatar url, image`},
	// What systems say.
	{"system", `event id, event uuid, message id, request id, correlation id, trace id, idempotency key, smtp id, insert id, record id, transaction lsn`},
	{"system.authentication", `write key`},
	{"system.operations", `timestamp, occurred at, event time, event timestamp, event at, created at, updated at, sent at, received at, processed at, modified at, ingested at,
		original timestamp, ts, time, created, updated, modified, at, version, schema version, environment, partition, offset, topic, library, library/name,
		library/version, app version, app/version, app/build, app/name, app/namespace, sdk, sdk version, integration, tls, attempt, retry, sequence, op, lsn, connector, snapshot, tx id,
		server id, db, schema, deleted, is deleted, traceparent, ms, us, ns`},
	// Names that are no person's, and lists of what has changed, which show something of
	// fields that a purpose may not see.
	{"", `changed field, nulled field, diff field, changed column, update mask, app name, file name, host name, hostname, method name, class name, template name, list name, field name, currency code, error code, status code`},
}
