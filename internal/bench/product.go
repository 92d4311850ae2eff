package main

// product is the pipeline of `consentstream run` as a job. It is nil until it is
// wired; then everything else here measures it: it is run before the floor, and
// the floor writes the counts and sizes that it was seen to write.
var product job
