package main

import (
	"testing"

	"orderconsumer/internal/order"
)

func TestShipment(t *testing.T) {
	t.Parallel()
	w, err := newWave(1, 30, 100, 7) // many goods that nobody wants
	if err != nil {
		t.Fatal(err)
	}
	defer w.end()
	demand := w.load.Expect().Demand

	lines, withheld := w.shipment(true)
	if len(lines)+len(withheld) != len(demand) || len(withheld) != 1 {
		t.Fatalf("%d goods come at once and %d later, of %d", len(lines), len(withheld), len(demand))
	}
	late := withheld[0].Goods
	for goods, wanted := range demand {
		if wanted > 0 && rank(goods) > rank(late) || goods == late && wanted == 0 {
			t.Errorf("%s comes late, %s is wanted %d times", late, goods, wanted)
		}
	}
	all, none := w.shipment(false)
	if len(all) != len(demand) || len(none) != 0 {
		t.Errorf("%d goods come and %d are withheld, without need", len(all), len(none))
	}
	short := false
	for _, line := range all {
		short = short || line.Num < demand[line.Goods]
		if line.Num < 1 {
			t.Errorf("%d of %s come", line.Num, line.Goods)
		}
	}
	if !short {
		t.Error("nothing will ever run out")
	}
}

func TestMessagesOfAWave(t *testing.T) {
	t.Parallel()
	w, err := newWave(3, 50, 12, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer w.end()
	total := 0
	for {
		list := w.messages("orders", 7)
		total += len(list)
		for i := range list {
			event, err := order.Decode(&list[i])
			if err == nil && event.OrderID != string(list[i].Key) {
				t.Errorf("order %s has the key %s", event.OrderID, list[i].Key)
			}
		}
		if len(list) < 7 {
			break
		}
	}
	if want := w.load.Expect().Events(); total != want {
		t.Errorf("%d messages, want %d", total, want)
	}
}
