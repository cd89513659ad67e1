package audit

import (
	"fmt"

	"hufu/internal/fault"
)

// Codes of findings.
const (
	FindSignature = "signature" // the checkpoint is not signed by the log's key
	FindQuorum    = "quorum"    // too few witnesses cosigned it
	FindEarlier   = "earlier"   // a checkpoint said to have been seen before is not this log's
	FindTruncated = "truncated" // the log is shorter than it was: entries at the end are gone
	FindRewritten = "rewritten" // the entries no longer give a root that was signed before: a fork
	FindChanged   = "changed"   // an entry is not the one the tree holds
	FindDeleted   = "deleted"   // an entry that the tree holds is not there
	FindInserted  = "inserted"  // an entry is there that the tree does not hold
	FindReordered = "reordered" // an entry stands where another belongs
	FindMalformed = "malformed" // entries cannot be read
	FindTwice     = "twice"     // an entry id that was there before
	FindTile      = "tile"      // a tile of hashes is missing or differs from what the entries make
	FindRoot      = "root"      // neither entries nor tiles give the signed root
)

var findingTexts = map[string]fault.Text{
	FindSignature: {EN: "The checkpoint is not signed by this log. Check that you have the right key and a complete file.", ZH: "检查点没有该日志的有效签名。请核对公钥及文件是否完整。"},
	FindQuorum:    {EN: "Too few independent witnesses cosigned the checkpoint. Fetch a newer one, or ask the witnesses.", ZH: "联署该检查点的独立见证方数量不足。请获取更新的检查点，或向见证方核实。"},
	FindEarlier:   {EN: "An earlier checkpoint that you gave is not one of this log. Leave it out, or check the key.", ZH: "您提供的早先检查点不属于该日志。请将其去除，或核对公钥。"},
	FindTruncated: {EN: "The log was cut: it had more entries before. Keep both checkpoints as evidence.", ZH: "日志被截断：此前的记录数更多。请保存两份检查点作为证据。"},
	FindRewritten: {EN: "History was rewritten: entries differ from those of a checkpoint seen before. Keep both checkpoints as evidence.", ZH: "历史被改写：记录与早先检查点不一致。请保存两份检查点作为证据。"},
	FindChanged:   {EN: "This entry was changed.", ZH: "该条记录被篡改。"},
	FindDeleted:   {EN: "An entry was deleted here.", ZH: "此处有一条记录被删除。"},
	FindInserted:  {EN: "An entry was inserted here.", ZH: "此处被插入了一条记录。"},
	FindReordered: {EN: "This entry was moved here from another place.", ZH: "该条记录被调换了位置。"},
	FindMalformed: {EN: "Entries cannot be read, or are missing.", ZH: "记录无法读取或缺失。"},
	FindTwice:     {EN: "An entry with this number was there before.", ZH: "该编号的记录重复出现。"},
	FindTile:      {EN: "Stored hashes differ from the entries, or are missing. Fetch the log anew.", ZH: "存储的杂凑值与记录不符或缺失。请重新获取日志。"},
	FindRoot:      {EN: "The entries do not give the root that the log signed.", ZH: "由记录算出的树根与日志签名的树根不一致。"},
}

// finding writes a finding out, with where and why after the sentence.
func finding(code string, index, count uint64, entry string, cause error) Finding {
	f := Finding{Code: code, Index: index, Count: count, Entry: entry, Text: findingTexts[code]}
	switch {
	case count == 1:
		f.Text.EN, f.Text.ZH = fmt.Sprintf("%s Entry %d", f.Text.EN, index), fmt.Sprintf("%s第 %d 条", f.Text.ZH, index)
	case count > 1:
		f.Text.EN = fmt.Sprintf("%s Entries %d to %d", f.Text.EN, index, index+count-1)
		f.Text.ZH = fmt.Sprintf("%s第 %d 至 %d 条", f.Text.ZH, index, index+count-1)
	}
	if entry != "" {
		f.Text.EN, f.Text.ZH = f.Text.EN+" ("+entry+")", f.Text.ZH+"（"+entry+"）"
	}
	if cause != nil {
		f.Text.EN, f.Text.ZH = fmt.Sprintf("%s (%v)", f.Text.EN, cause), fmt.Sprintf("%s（%v）", f.Text.ZH, cause)
	}
	return f
}
