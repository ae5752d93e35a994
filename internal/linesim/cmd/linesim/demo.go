package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"net/http"

	"kaiwa/internal/linesim"
)

const (
	demoChannel = "1656000001"
	demoToken   = "demo-access-token"
	demoBot     = "/_demo/bot"
	hanako      = "U10000000000000000000000000000001"
	somchai     = "U10000000000000000000000000000002"
	mei         = "U10000000000000000000000000000003"
)

// seed fills the phones with one of everything, sent through LINE's own API.
func seed(ctx context.Context, s *linesim.Simulator, base string) error {
	err := s.AddChannel(ctx, linesim.Channel{ID: demoChannel, Secret: "8c570fa6dd201bb328f1c1eac23a96d8", AccessToken: demoToken, DisplayName: "さくら商店 Sakura", ChatMode: "chat", Quota: 200, WebhookURL: base + demoBot, WebhookActive: true})
	if err != nil {
		return err
	}
	if err := s.AddChannel(ctx, linesim.Channel{ID: "1656000002", AccessToken: demoToken + "-2", DisplayName: "Siam Travel", ChatMode: "chat"}); err != nil {
		return err
	}
	for _, u := range []linesim.User{
		{ID: hanako, DisplayName: "山田 花子", Language: "ja"},
		{ID: somchai, DisplayName: "สมชาย ใจดี", Language: "th"},
		{ID: mei, DisplayName: "林美玲 Mei", Language: "zh-TW"},
	} {
		if err := s.AddUser(ctx, u); err != nil {
			return err
		}
	}
	photo, err := s.Send(ctx, demoChannel, hanako, linesim.Message{Type: "image", Content: picture(640, 480, 200), ContentType: "image/png"})
	if err != nil {
		return err
	}
	d := &demo{ctx: ctx, s: s, base: base, picture: base + "/_control/media/" + photo.MessageID}
	d.hanako()
	d.somchai()
	d.mei()
	return d.err
}

// demo keeps the first error, so that the stories read as stories.
type demo struct {
	ctx           context.Context
	s             *linesim.Simulator
	base, picture string
	last          linesim.Sent
	err           error
}

func (d *demo) says(user, text string) { d.sends(user, linesim.Message{Type: "text", Text: text}) }

func (d *demo) sends(user string, m linesim.Message) {
	if d.err == nil {
		d.last, d.err = d.s.Send(d.ctx, demoChannel, user, m)
	}
}

func (d *demo) answers(messages ...string) {
	d.post("/v2/bot/message/reply", fmt.Sprintf(`{"replyToken":%q,"messages":[%s]}`, d.last.ReplyToken, join(messages)))
}

func (d *demo) pushes(user string, messages ...string) {
	d.post("/v2/bot/message/push", fmt.Sprintf(`{"to":%q,"messages":[%s]}`, user, join(messages)))
}

func join(parts []string) string {
	out := ""
	for i, p := range parts {
		if i > 0 {
			out += ","
		}
		out += p
	}
	return out
}

func (d *demo) post(path, body string) {
	if d.err != nil {
		return
	}
	req, err := http.NewRequestWithContext(d.ctx, http.MethodPost, d.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		d.err = err
		return
	}
	req.Header.Set("Authorization", "Bearer "+demoToken)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		d.err = err
		return
	}
	answer, err := io.ReadAll(res.Body)
	if cerr := res.Body.Close(); err == nil {
		err = cerr
	}
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %d %s", path, res.StatusCode, answer)
	}
	d.err = err
}

func text(s string) string {
	b, err := json.Marshal(map[string]string{"type": "text", "text": s})
	if err != nil {
		return "null"
	}
	return string(b)
}

func (d *demo) hanako() {
	d.says(hanako, "こんにちは。先週注文したカーディガンの\n色が写真と少し違うようです😢")
	d.answers(text("山田様、お問い合わせありがとうございます。さくら商店です🌸\n確認のため、注文番号を教えていただけますか?"))
	d.says(hanako, "A-20471 です")
	d.sends(hanako, linesim.Message{Type: "sticker", PackageID: "11537", StickerID: "52002739"})
	d.answers(`{"type":"text","text":"担当の鈴木に代わりました。交換の商品を本日お送りできます。詳しくは https://sakura.example/returns をご覧ください。","sender":{"name":"鈴木(サポート)","iconUrl":"`+d.picture+`"}}`,
		`{"type":"text","text":"お届けのご希望はございますか?","sender":{"name":"鈴木(サポート)","iconUrl":"`+d.picture+`"},"quickReply":{"items":[
		{"type":"action","action":{"type":"message","label":"明日の午前","text":"明日の午前でお願いします"}},
		{"type":"action","action":{"type":"datetimepicker","label":"日時を選ぶ","data":"when","mode":"datetime"}},
		{"type":"action","action":{"type":"location","label":"別の場所"}},
		{"type":"action","action":{"type":"postback","label":"人と話す","data":"agent","displayText":"担当者と話したい"}}]}}`)
}

func (d *demo) somchai() {
	d.says(somchai, "สวัสดีครับ อยากทราบสถานะพัสดุของผมครับ หมายเลข TH-88213")
	d.answers(`{"type":"flex","altText":"สถานะพัสดุ","contents":{"type":"bubble","size":"mega",
		"hero":{"type":"image","url":"` + d.picture + `","size":"full","aspectRatio":"20:11","aspectMode":"cover"},
		"body":{"type":"box","layout":"vertical","spacing":"md","contents":[
			{"type":"text","text":"กำลังจัดส่ง","weight":"bold","size":"xl","color":"#06874a"},
			{"type":"text","text":"พัสดุ TH-88213 ถึงศูนย์กระจายสินค้ากรุงเทพฯ แล้ว","wrap":true,"size":"sm","color":"#555555"},
			{"type":"separator","margin":"lg"},
			{"type":"box","layout":"horizontal","margin":"lg","contents":[{"type":"text","text":"คาดว่าจะถึง","size":"sm","color":"#8c8c8c"},{"type":"text","text":"พรุ่งนี้ 14:00","size":"sm","align":"end","weight":"bold"}]},
			{"type":"box","layout":"horizontal","contents":[{"type":"text","text":"ผู้ส่ง","size":"sm","color":"#8c8c8c"},{"type":"text","text":"Sakura Store","size":"sm","align":"end"}]}]},
		"footer":{"type":"box","layout":"horizontal","spacing":"sm","contents":[
			{"type":"button","style":"primary","height":"sm","action":{"type":"uri","label":"ติดตามพัสดุ","uri":"https://sakura.example/track"}},
			{"type":"button","style":"secondary","height":"sm","action":{"type":"message","label":"เปลี่ยนวันส่ง","text":"ขอเปลี่ยนวันส่ง"}}]}}}`)
	d.sends(somchai, linesim.Message{Type: "location", Title: "สยามพารากอน", Address: "991 ถนนพระรามที่ 1 ปทุมวัน", Latitude: 13.746, Longitude: 100.5347})
	d.pushes(somchai, `{"type":"template","altText":"ยืนยัน","template":{"type":"confirm","text":"ต้องการให้ส่งไปที่ที่อยู่นี้ใช่ไหมครับ?","actions":[{"type":"postback","label":"ใช่","data":"yes","displayText":"ใช่ครับ"},{"type":"message","label":"ไม่ใช่","text":"ไม่ใช่ครับ"}]}}`)
}

func (d *demo) mei() {
	d.says(mei, "請問這兩款還有貨嗎?")
	column := func(title, price string) string {
		return `{"thumbnailImageUrl":"` + d.picture + `","title":"` + title + `","text":"` + price + `","actions":[{"type":"message","label":"我要這個","text":"我要` + title + `"},{"type":"uri","label":"看更多","uri":"https://sakura.example/item"}]}`
	}
	d.answers(text("您好!這兩款目前都有現貨 🙌"),
		`{"type":"template","altText":"商品","template":{"type":"carousel","columns":[`+column("櫻花針織外套", "NT$1,280")+`,`+column("亞麻長裙", "NT$980")+`]}}`)
	d.sends(mei, linesim.Message{Type: "sticker", PackageID: "11537", StickerID: "52002736"})
	d.sends(mei, linesim.Message{Type: "file", FileName: "尺寸表.pdf", Content: make([]byte, 48213), ContentType: "application/pdf"})
	wrong := d.last
	if d.err == nil {
		_, d.err = d.s.Unsend(d.ctx, demoChannel, mei, wrong.MessageID)
	}
	d.says(mei, "❤️")
	d.pushes(mei, `{"type":"sticker","packageId":"11537","stickerId":"52002735"}`)
	d.post("/v2/bot/chat/loading/start", fmt.Sprintf(`{"chatId":%q,"loadingSeconds":60}`, mei))
}

// picture paints a soft landscape, so that there is something to look at.
func picture(w, h int, hue float64) []byte {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			fx, fy := float64(x)/float64(w), float64(y)/float64(h)
			c := color.RGBA{uint8(250 - 60*fy), uint8(190 + 40*fy), uint8(hue + 40*fy), 255}
			if d := math.Hypot(fx-.72, (fy-.3)*.75); d < .11 {
				c = color.RGBA{255, 244, 214, 255}
			}
			for i, ridge := range []float64{.55 + .08*math.Sin(fx*7+1), .68 + .07*math.Sin(fx*9+3), .82 + .05*math.Sin(fx*6)} {
				if fy > ridge {
					c = []color.RGBA{{148, 178, 196, 255}, {104, 150, 152, 255}, {66, 118, 106, 255}}[i]
				}
			}
			img.SetRGBA(x, y, c)
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		return nil // a buffer takes everything; without a picture Send says so
	}
	return out.Bytes()
}
