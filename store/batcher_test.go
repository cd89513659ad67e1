package store

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

type double struct{ in, out int }

// Whoever comes while others are on their way goes with the next trip, and all who come meanwhile go together.
func TestAskersGatherBehindATrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trips [][]int
		leave := make(chan struct{})
		b := &batcher[double]{ask: func(all []*double) error {
			var in []int
			for _, q := range all {
				in = append(in, q.in)
			}
			trips = append(trips, in)
			<-leave
			for _, q := range all {
				q.out = 2 * q.in
			}
			return nil
		}}
		var all []*double
		var done []<-chan error
		come := func(in int) {
			all = append(all, &double{in: in})
			done = append(done, b.join(all[len(all)-1]))
			synctest.Wait()
		}
		for in := range batcherTrips + batcherSize + 1 {
			come(in)
		}
		if len(trips) != batcherTrips || len(trips[0]) != 1 {
			t.Fatalf("%v are on their way", trips)
		}
		leave <- struct{}{}
		synctest.Wait()
		if len(trips) != batcherTrips+1 || len(trips[batcherTrips]) != batcherSize {
			t.Fatalf("then go %v", trips)
		}
		close(leave)
		for i, q := range all {
			if err := <-done[i]; err != nil || q.out != 2*i {
				t.Errorf("%d: %d, %v", i, q.out, err)
			}
		}
		synctest.Wait()
		if b.trips != 0 || len(b.waiting) != 0 {
			t.Errorf("%d trips, %d wait when all is over", b.trips, len(b.waiting))
		}
	})
}

// Who is at fault learns so alone; a panic is a fault like any other.
func TestOneFaultIsNotThatOfTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		damaged := errors.New("damaged row")
		leave := make(chan struct{})
		var asked atomic.Int64
		b := &batcher[double]{ask: func(all []*double) error {
			asked.Add(1)
			<-leave
			for _, q := range all {
				switch q.in {
				case 5:
					return damaged
				case 6:
					panic("six")
				}
				q.out = 2 * q.in
			}
			return nil
		}}
		var all []*double
		var done []<-chan error
		for in := range 8 {
			all = append(all, &double{in: in})
			done = append(done, b.join(all[in]))
			synctest.Wait()
		}
		close(leave)
		for i, q := range all {
			err := <-done[i]
			switch {
			case i == 5 && !errors.Is(err, damaged), i == 6 && err == nil:
				t.Errorf("%d is at fault and gets %v", i, err)
			case i < 5 && (err != nil || q.out != 2*i), i == 7 && (err != nil || q.out != 14):
				t.Errorf("%d: %d, %v", i, q.out, err)
			}
		}
		if n := asked.Load(); n != batcherTrips+1+6 {
			t.Error(fmt.Sprint(n, " trips"))
		}
	})
}
