package schemas

import _ "embed" // for the schema texts below

// AuditRecord is the Avro schema of `consent.audit`; package audit encodes it.
//
//go:embed audit_record.avsc
var AuditRecord string
