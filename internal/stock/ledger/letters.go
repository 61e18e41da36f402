package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// letterMarkRow is a row of letter_marks.
type letterMarkRow struct {
	Topic           string    `gorm:"primaryKey"`
	LetterPartition int       `gorm:"primaryKey;autoIncrement:false"`
	LetterOffset    int64     `gorm:"primaryKey;autoIncrement:false"`
	Seq             int       `gorm:"primaryKey;autoIncrement:false"`
	AppendedAt      time.Time // of the letter
	Mark            string
	Note            string
	Actor           string
	MarkedAt        time.Time
}

// TableName implements GORM's Tabler.
func (letterMarkRow) TableName() string { return "letter_marks" }

// LetterMark is what somebody has decided about a dead letter. Package redrive
// says what it means.
type LetterMark struct {
	Partition  int
	Offset     int64
	Seq        int // counts the letter's marks from 1
	AppendedAt time.Time
	Mark       string
	Note       string
	Actor      string
	At         time.Time
}

// ErrMarked: somebody else has marked a letter meanwhile.
var ErrMarked = errors.New("a letter was marked by somebody else meanwhile")

// marksAtATime bounds one statement.
const marksAtATime = 500

// LetterMarks returns every mark of the topic's letters, the oldest first.
func (l *Ledger) LetterMarks(ctx context.Context, topic string) ([]LetterMark, error) {
	var rows []letterMarkRow
	err := l.db.WithContext(ctx).Where("topic = ?", topic).
		Order("letter_partition, letter_offset, seq").Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read marks of dead letters in %s: %w", topic, l.translate(ctx, err))
	}
	marks := make([]LetterMark, len(rows))
	for i := range rows {
		r := &rows[i]
		marks[i] = LetterMark{Partition: r.LetterPartition, Offset: r.LetterOffset, Seq: r.Seq,
			AppendedAt: r.AppendedAt.UTC(), Mark: r.Mark, Note: r.Note, Actor: r.Actor, At: r.MarkedAt.UTC()}
	}
	return marks, nil
}

// MarkLetters adds marks. A seq that is there already means that somebody else
// has marked the letter; the error wraps ErrMarked. Marks are added in parts;
// what was added before an error stays.
func (l *Ledger) MarkLetters(ctx context.Context, topic string, marks []LetterMark) error {
	rows := make([]letterMarkRow, len(marks))
	for i, m := range marks {
		rows[i] = letterMarkRow{Topic: topic, LetterPartition: m.Partition, LetterOffset: m.Offset, Seq: m.Seq,
			AppendedAt: m.AppendedAt.UTC(), Mark: m.Mark, Note: m.Note, Actor: m.Actor, MarkedAt: m.At.UTC()}
	}
	err := l.db.WithContext(ctx).CreateInBatches(rows, marksAtATime).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return fmt.Errorf("mark %d dead letters of %s: %w", len(marks), topic, ErrMarked)
	}
	if err != nil {
		return fmt.Errorf("mark %d dead letters of %s: %w", len(marks), topic, l.translate(ctx, err))
	}
	return nil
}
