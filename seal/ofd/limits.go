package ofd

// Limits bound what one document may cost its reader (reference: decompression bombs, deep XML).
type Limits struct {
	Entries   int   // ZIP entries, directories included
	EntrySize int64 // uncompressed octets of one entry
	TotalSize int64 // uncompressed octets of all entries
	Ratio     int64 // uncompressed : compressed, for entries above RatioFloor
	Name      int   // octets of a path
	XMLSize   int64 // octets of one XML part
	Elements  int   // XML elements, over all parts of one Model
	Depth     int   // nesting of XML elements
}

// ratioFloor is the size below which the ratio is not judged: short repetitive XML compresses well.
const ratioFloor = 1 << 20

// DefaultLimits suit documents of some thousand pages.
var DefaultLimits = Limits{
	Entries: 20_000, EntrySize: 128 << 20, TotalSize: 512 << 20, Ratio: 300,
	Name: 512, XMLSize: 32 << 20, Elements: 1_000_000, Depth: 64,
}

// Remark is something odd that does not decide the result. Code is stable; Part is the path it is about ("" for the container).
type Remark struct{ Code, Part string }

// Codes of remarks.
const (
	RemarkPrefixBytes  = "zip-prefix-bytes"
	RemarkSuffixBytes  = "zip-suffix-bytes"
	RemarkComment      = "zip-comment"
	RemarkGap          = "zip-gap"
	RemarkNameEncoding = "zip-name-encoding"
	RemarkBackslash    = "zip-backslash"
	RemarkDirectory    = "zip-directory-twice"
	RemarkNamespace    = "xml-namespace"
	RemarkBOM          = "xml-bom"
	RemarkPartMissing  = "referenced-missing"
	RemarkUnreadable   = "part-unreadable"
	RemarkTiling       = "riding-seal-tiling"
	RemarkStampPage    = "stamp-page-unknown"
	RemarkStampOutside = "stamp-outside-page"
	RemarkTypeAbsent   = "signature-type-absent"
	RemarkRelative     = "relative-signature"
)
