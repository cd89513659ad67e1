package keys

import (
	"slices"
	"strings"
)

// Algorithms, as devices name them.
const (
	SM2     = "sm2"
	P256    = "p256"
	RSA2048 = "rsa2048"
	RSA3072 = "rsa3072"
	SM4     = "sm4"
	AES256  = "aes256" // for master keys of devices without SM4
)

// Uses, as devices name them.
const (
	useSign    = "sign"
	useDecrypt = "decrypt"
	useWrap    = "wrap"
)

// Purposes of device keys.
const (
	CARoot     = "ca-root"     // signs the issuing authorities' certificates and their CRL
	CAIssuing  = "ca-issuing"  // signs certificates and CRLs
	OCSP       = "ocsp"        // signs status answers
	TSA        = "tsa"         // signs time-stamps
	SealMaker  = "seal-maker"  // signs seals (制章人)
	Log        = "log"         // signs checkpoints of the audit log
	Bundle     = "bundle"      // signs trust bundles
	CMP        = "cmp"         // protects the answers of CMP to peers that sign with SM2
	CMPP256    = "cmp-p256"    // and to others
	QR         = "qr"          // signs the QR texts by which licences are shown
	Webhook    = "webhook"     // signs event messages to other systems
	ExternalRA = "external-ra" // protects applications to an external authority
	TokenES256 = "token-es256" // signs ID tokens
	TokenRS256 = "token-rs256" //
	TokenSM2   = "token-sm2"   //
	Envelope   = "envelope"    // opens what is encrypted to the service
	Master     = "master"      // wraps data keys and many keys
	KMCMaster  = "kmc-master"  // wraps escrowed encryption keys
)

// Purposes of data keys.
const (
	DataField    = "field"    // SM4, seals database columns
	DataIndex    = "index"    // HMAC-SM3, blind indexes
	DataSubjects = "subjects" // SM4, wraps each subject's audit key
	DataRows     = "rows"     // HMAC-SM3, tags of audit rows
	DataTokens   = "tokens"   // HMAC-SM3, opaque tokens of the OpenID provider
	DataPepper   = "pepper"   // HMAC-SM3, before password hashes
	DataPages    = "pages"    // HMAC-SM3, cookies and form tokens
	DataPseudo   = "pseudo"   // HMAC-SM3, pseudonyms in certificates
)

// Purposes of many keys.
const (
	ManySeal   = "seal"   // a seal's signing key
	ManyHolder = "holder" // a holder's signing key kept by the platform
	ManyRoot   = "root"   // a root's key, whose owner's half custodians share
)

// MasterLabel is the label of the master key that Unlock makes, KMCMasterLabel that of the key management centre's.
const (
	MasterLabel    = "master"
	KMCMasterLabel = "kmc-master"
)

type purpose struct {
	use        string
	algorithms []string
}

var purposes = map[string]purpose{
	CARoot:     {use: useSign, algorithms: []string{SM2, P256, RSA3072}},
	CAIssuing:  {use: useSign, algorithms: []string{SM2, P256, RSA3072}},
	OCSP:       {use: useSign, algorithms: []string{SM2, P256, RSA2048, RSA3072}},
	TSA:        {use: useSign, algorithms: []string{SM2, P256, RSA2048, RSA3072}},
	SealMaker:  {use: useSign, algorithms: []string{SM2}},
	Log:        {use: useSign, algorithms: []string{SM2}},
	Bundle:     {use: useSign, algorithms: []string{SM2}},
	QR:         {use: useSign, algorithms: []string{SM2}},
	Webhook:    {use: useSign, algorithms: []string{SM2}},
	ExternalRA: {use: useSign, algorithms: []string{SM2, P256}},
	CMP:        {use: useSign, algorithms: []string{SM2}},
	CMPP256:    {use: useSign, algorithms: []string{P256}},
	TokenES256: {use: useSign, algorithms: []string{P256}},
	TokenRS256: {use: useSign, algorithms: []string{RSA2048, RSA3072}},
	TokenSM2:   {use: useSign, algorithms: []string{SM2}},
	Envelope:   {use: useDecrypt, algorithms: []string{SM2}},
	Master:     {use: useWrap, algorithms: []string{SM4, AES256}},
	KMCMaster:  {use: useWrap, algorithms: []string{SM4, AES256}},
}

// dataSizes are the sizes of data keys in octets.
var dataSizes = map[string]int{
	DataField: 16, DataIndex: 32, DataSubjects: 16, DataRows: 32, DataTokens: 32, DataPepper: 32, DataPages: 32, DataPseudo: 32,
}

// storeData are the data keys without which the database can record nothing: Unlock makes them.
var storeData = []string{DataField, DataIndex, DataSubjects, DataRows}

var manyPurposes = []string{ManySeal, ManyHolder, ManyRoot}

// checkPurpose refuses a purpose that there is not and an algorithm that does not go with it.
func checkPurpose(name, algorithm string) error {
	if p, ok := purposes[name]; !ok || !slices.Contains(p.algorithms, algorithm) {
		return ErrPurpose.With("purpose %q with algorithm %q", name, algorithm)
	}
	return nil
}

// checkLabel keeps room for a version and a random part in the label on the device.
func checkLabel(label string) error {
	bad := label == "" || len(label) > 64 || label[0] < 'a' || label[0] > 'z' || strings.ContainsFunc(label, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '-')
	})
	if bad {
		return ErrLabel.With("label %q", label)
	}
	return nil
}
