package api

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"hufu/ca"
	"hufu/internal/actor"
)

const (
	csvType = "text/csv"
	zipType = "application/zip"
)

func (a *API) batchRoutes() []route {
	const makers, seen = "registrar, certificate user", "maker, registrar, approver"
	const csvFile = ca.MaxBatchFile + 64<<10
	return []route{
		{"POST /api/v1/batches/check", makers, text("试运行：逐行检查批量申请文件，不保存任何内容", "Check every row of a batch's file; nothing is stored"), on(a.checkBatch, costs(10), takes(csvFile, csvType))},
		{"POST /api/v1/batches", makers, text("上传批量申请", "Apply for the rows of a CSV file; they are entered by and by"), on(a.addBatch, created, costs(10), takes(csvFile, csvType))},
		{"GET /api/v1/batches", makers + ", approver", text("列出批次", "List batches, newest first"), on(a.listBatches)},
		{"GET /api/v1/batches/{id}", seen, text("查看批次进度", "Get a batch and how far it is"), on(a.getBatch)},
		{"GET /api/v1/batches/{id}/rows", seen, text("列出批次各行", "List rows by number"), on(a.listRows)},
		{"PUT /api/v1/batches/{id}/rows", "maker", text("以更正文件替换失败的行", "Put other lines into failed rows: CSV with the column row"), on(a.correctBatch, costs(5), takes(csvFile, csvType))},
		{"POST /api/v1/batches/{id}/retry", "maker", text("重新处理失败的行", "Run failed rows again as they are"), on(a.retryBatch)},
		{"POST /api/v1/batches/{id}/cancel", "maker", text("取消尚未开始的行", "End the rows that have not begun"), on(a.cancelBatch)},
		{"POST /api/v1/batches/{id}/decision", "approver, not the maker", text("审核整批或所选的行", "Decide on all submitted rows, or on those named"), on(a.decideBatch)},
		{"GET /api/v1/batches/{id}/result.csv", seen, text("下载批次结果（CSV）", "Get what became of each row as CSV"), on(a.batchResult, costs(5), gives(csvType))},
		{"GET /api/v1/batches/{id}/certificates.zip", seen, text("下载本批次的证书（ZIP）", "Get certificates and envelopes of a batch as ZIP"), on(a.batchZIP, costs(10), gives(zipType))},
		{"GET /api/v1/batches/{id}/certificates.pem", seen, text("下载本批次的证书（PEM）", "Get the certificates of a batch as PEM"), on(a.batchPEM, costs(10), gives(pemFile))},
	}
}

// BatchFileInput is a batch's file.
type BatchFileInput struct {
	Profile string `query:"profile" maxLength:"64" doc:"Of rows that name none"`
	RawBody []byte `contentType:"text/csv"`
}

type rowReportView struct {
	Row  int    `json:"row" doc:"From 1, below the header"`
	Code string `json:"code" example:"ca.facts"`
	ZH   string `json:"zh"`
	EN   string `json:"en"`
}

type checkedView struct {
	Rows   int             `json:"rows"`
	Wrong  int             `json:"wrong"`
	Errors []rowReportView `json:"errors" doc:"Of the first 1,000 wrong rows"`
}

// maxReported bounds the answer of a check.
const maxReported = 1000

func (a *API) checkBatch(ctx context.Context, by actor.Actor, in *BatchFileInput) (*body[checkedView], error) {
	reports, err := a.CA.CheckBatch(ctx, by, ca.BatchOrder{Profile: in.Profile, File: in.RawBody})
	if err != nil {
		return nil, err
	}
	out := &body[checkedView]{checkedView{Rows: len(reports), Errors: []rowReportView{}}}
	for _, r := range reports {
		if r.Code == "" {
			continue
		}
		if out.Body.Wrong++; out.Body.Wrong <= maxReported {
			out.Body.Errors = append(out.Body.Errors, rowReportView{r.Number, r.Code, r.Text.ZH, r.Text.EN})
		}
	}
	return out, nil
}

type addBatchInput struct {
	BatchFileInput
	Name string `query:"name" maxLength:"200" doc:"What people call it"`
	Key  string `header:"Idempotency-Key" maxLength:"100" doc:"The same key gives the same batch; an upload that broke off goes on"`
}

func (a *API) addBatch(ctx context.Context, by actor.Actor, in *addBatchInput) (*body[batchView], error) {
	b, err := a.CA.AddBatch(ctx, by, ca.BatchOrder{Name: in.Name, Profile: in.Profile, Key: in.Key, File: in.RawBody})
	if err != nil {
		return nil, err
	}
	return &body[batchView]{viewBatch(b)}, nil
}

type batchView struct {
	ID        string           `json:"id"`
	Name      string           `json:"name,omitempty"`
	Maker     ActorView        `json:"maker"`
	State     ca.BatchState    `json:"state" enum:"loading,open,cancelled"`
	Total     int              `json:"total" doc:"Rows"`
	At        time.Time        `json:"at"`
	Progress  *progressView    `json:"progress,omitempty"`
	Rows      map[string]int   `json:"rows,omitempty" doc:"How many rows stand where: waiting, failed, cancelled, or the state of their application"`
	Decisions []batchJudgeView `json:"decisions,omitempty"`
}

type progressView struct {
	Done      int `json:"done" doc:"Rows that need nothing more: issued, delivered, rejected, withdrawn, cancelled"`
	Waiting   int `json:"waiting" doc:"Rows that the server works on: to be entered, or approved and to be issued"`
	Undecided int `json:"undecided" doc:"Rows that wait for a person: submitted, or drafts"`
	Failed    int `json:"failed"`
}

type batchJudgeView struct {
	ID      string     `json:"id"`
	By      ActorView  `json:"by"`
	Verdict ca.Verdict `json:"verdict" enum:"approve,reject,return"`
	Reason  string     `json:"reason,omitempty"`
	At      time.Time  `json:"at"`
	Decided int        `json:"decided" doc:"Rows so far"`
	Refused int        `json:"refused" doc:"Rows on which this officer may not decide, or that changed meanwhile"`
	Done    bool       `json:"done"`
	Stopped string     `json:"stopped,omitempty" doc:"Code of the reason why the other rows were left alone: ca.batch-maker, the officer may not decide any more"`
}

func viewBatch(b ca.Batch) batchView {
	return batchView{ID: b.ID, Name: b.Name, Maker: viewActor(b.Maker), State: b.State, Total: b.Total, At: b.At}
}

func viewJudge(d ca.BatchDecision) batchJudgeView {
	return batchJudgeView{d.ID, viewActor(d.By), d.Decision.Verdict, d.Decision.Reason, d.At, d.Decided, d.Refused, d.Done, d.Stopped}
}

func progressOf(rows map[string]int) *progressView {
	p := &progressView{}
	for state, n := range rows {
		switch state {
		case string(ca.RowWaiting), string(ca.Approved):
			p.Waiting += n
		case string(ca.Submitted), string(ca.Draft):
			p.Undecided += n
		case string(ca.RowFailed):
			p.Failed += n
		default:
			p.Done += n
		}
	}
	return p
}

func (a *API) getBatch(ctx context.Context, by actor.Actor, in *IDInput) (*body[batchView], error) {
	b, rows, decisions, err := a.CA.Batch(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	out := &body[batchView]{viewBatch(b)}
	out.Body.Rows, out.Body.Progress = rows, progressOf(rows)
	for _, d := range decisions {
		out.Body.Decisions = append(out.Body.Decisions, viewJudge(d))
	}
	return out, nil
}

func (a *API) listBatches(ctx context.Context, by actor.Actor, in *Paging) (*body[page[batchView]], error) {
	before, err := in.before()
	if err != nil {
		return nil, err
	}
	all, err := a.CA.Batches(ctx, by, ca.BatchFilter{Before: before, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return pageOf(all, in.Limit, viewBatch, func(b ca.Batch) string { return timed(b.At) }), nil
}

type rowsInput struct {
	IDInput
	State string `query:"state" enum:"waiting,failed,cancelled,draft,submitted,approved,rejected,issued,delivered,withdrawn"`
	After int    `query:"after" minimum:"0" doc:"Number of the last row of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
}

type rowView struct {
	Row          int      `json:"row" doc:"From 1, below the header"`
	State        string   `json:"state"`
	Application  string   `json:"application,omitempty"`
	Profile      string   `json:"profile,omitempty"`
	Holder       string   `json:"holder,omitempty"`
	Code         string   `json:"code,omitempty" doc:"Of the error"`
	ZH           string   `json:"zh,omitempty"`
	EN           string   `json:"en,omitempty"`
	Certificates []string `json:"certificates,omitempty" doc:"Serial numbers"`
}

func viewRow(r ca.RowResult) rowView {
	return rowView{r.Number, r.Stands, r.Application, r.Applied.Profile, r.Applied.Holder, r.Code, r.Text.ZH, r.Text.EN, r.Applied.Certificates}
}

func (a *API) listRows(ctx context.Context, by actor.Actor, in *rowsInput) (*body[page[rowView]], error) {
	rows, err := a.CA.BatchRows(ctx, by, ca.RowFilter{Batch: in.ID, Stands: in.State, After: in.After, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return pageOf(rows, in.Limit, viewRow, func(r ca.RowResult) string { return strconv.Itoa(r.Number) }), nil
}

type countView struct {
	Rows int64 `json:"rows" doc:"How many it was done to"`
}

type correctInput struct {
	IDInput
	BatchFileInput
}

func (a *API) correctBatch(ctx context.Context, by actor.Actor, in *correctInput) (*body[countView], error) {
	n, err := a.CA.CorrectBatch(ctx, by, in.ID, ca.BatchOrder{Profile: in.Profile, File: in.RawBody})
	return &body[countView]{countView{n}}, err
}

type chosenInput struct {
	IDInput
	Body struct {
		Rows []int `json:"rows,omitempty" maxItems:"1000" doc:"Numbers of rows; none for all"`
	}
}

func (a *API) retryBatch(ctx context.Context, by actor.Actor, in *chosenInput) (*body[countView], error) {
	n, err := a.CA.RetryBatch(ctx, by, in.ID, in.Body.Rows)
	return &body[countView]{countView{n}}, err
}

func (a *API) cancelBatch(ctx context.Context, by actor.Actor, in *IDInput) (*body[countView], error) {
	n, err := a.CA.CancelBatch(ctx, by, in.ID)
	return &body[countView]{countView{n}}, err
}

type decideBatchInput struct {
	IDInput
	Body struct {
		Approve  bool   `json:"approve"`
		SendBack bool   `json:"send_back,omitempty" doc:"Not approved, but sent back for correction"`
		Reason   string `json:"reason,omitempty" maxLength:"600" doc:"Needed when approve is false; else a remark that is kept"`
		Rows     []int  `json:"rows,omitempty" maxItems:"1000" doc:"Numbers of rows; none for all that stand submitted"`
	}
}

func (a *API) decideBatch(ctx context.Context, by actor.Actor, in *decideBatchInput) (*body[batchJudgeView], error) {
	v := verdict{Approve: in.Body.Approve, SendBack: in.Body.SendBack, Reason: in.Body.Reason}
	d, err := a.CA.JudgeBatch(ctx, by, in.ID, v.decision(), in.Body.Rows)
	return &body[batchJudgeView]{viewJudge(d)}, err
}

// PackInput is a part of a batch.
type packInput struct {
	IDInput
	After int `query:"after" minimum:"0" doc:"Begin behind this row; at most 10,000 rows come at once"`
}

func (a *API) batchResult(ctx context.Context, by actor.Actor, in *IDInput) (*huma.StreamResponse, error) {
	return a.stream(ctx, by, in.ID, "result.csv", func(w io.Writer) error { return a.CA.WriteBatchResult(ctx, by, in.ID, w) })
}

func (a *API) batchZIP(ctx context.Context, by actor.Actor, in *packInput) (*huma.StreamResponse, error) {
	return a.stream(ctx, by, in.ID, "certificates.zip", func(w io.Writer) error { return a.CA.WriteBatchCertificates(ctx, by, in.ID, in.After, w) })
}

func (a *API) batchPEM(ctx context.Context, by actor.Actor, in *packInput) (*huma.StreamResponse, error) {
	return a.stream(ctx, by, in.ID, "certificates.pem", func(w io.Writer) error { return a.CA.WriteBatchPEM(ctx, by, in.ID, in.After, w) })
}

// streamTypes are the media types of files that are written while they are made.
var streamTypes = map[string]string{"result.csv": csvType + "; charset=utf-8", "certificates.zip": zipType, "certificates.pem": pemFile}

// stream answers with a file that is too large for memory. Who may not see the batch is refused before it begins; what goes
// wrong later breaks the answer off, so that half a file does not look like a whole one.
func (a *API) stream(ctx context.Context, by actor.Actor, batch, name string, write func(io.Writer) error) (*huma.StreamResponse, error) {
	if _, err := a.CA.BatchRows(ctx, by, ca.RowFilter{Batch: batch, Limit: 1}); err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", streamTypes[name])
		hc.SetHeader("Content-Disposition", attachment(name))
		hc.SetStatus(http.StatusOK)
		if err := write(hc.BodyWriter()); err != nil {
			a.tell(ctx, err)
			panic(http.ErrAbortHandler)
		}
	}}, nil
}
