// Package softtoken is our own cryptographic token in C over OpenSSL 3, for trying
// and testing only: a PKCS#11 2.40 module, an SDF library (GM/T 0018) and a console
// over one store of sealed files. It protects keys no better than the folder they
// lie in, and says so in every text that it shows.
//
// The module speaks dialects of makers (neutral, sansec, tass, luna, ep11): their
// codes, forms of signatures and habits. A small file that is read again at each
// call disturbs it while it runs: device removed, session lost, slow, wrong
// signature. README.md tells files, faults and dialects.
//
// The package holds the sources and Build, which compiles them with the C compiler
// of the system; it uses no cgo itself. Tests get a token by hsmtest.Token.
package softtoken
